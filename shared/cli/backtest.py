"""``wardgate policy backtest``: what a candidate policy would change, on given or on recorded prompts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from shared.audit.content import ContentGone
from shared.audit.opening import ACTION
from shared.audit.port import Operation
from shared.audit.show import Filter, read_entries
from shared.audit.wrapping import ContentUnreadable
from shared.cli.operators import operator
from shared.cli.output import Commands, add_json_option, counted, print_json, print_table
from shared.cli.progress import Bar
from shared.cli.rows import Row, read_rows
from shared.cli.sealed import sealed_archive
from shared.cli.times import past
from shared.guards.backtest import Backtest, Share
from shared.guards.port import VERDICTS
from shared.guards.tenants import Pipelines
from shared.policy import load_policy
from shared.settings import load_settings


def register(actions: Commands) -> None:
    """Add the action to ``wardgate policy``."""
    test = actions.add_parser(
        "backtest",
        help="count what a candidate policy would change",
        description=__doc__,
        epilog="Exit code 0: no verdict changes; 1: some do.",
    )
    test.add_argument("candidate", type=Path, help="a policy file")
    test.add_argument("--against", type=Path, metavar="FILE", help="default: the policy that WARDGATE_POLICY names")
    prompts = test.add_mutually_exclusive_group(required=True)
    prompts.add_argument("--jsonl", type=Path, metavar="FILE", help='lines of {"id", "text"}; - is standard input')
    prompts.add_argument(
        "--recorded", action="store_true", help="prompts that the trail holds sealed; that they are opened is recorded"
    )
    test.add_argument("--since", type=past, metavar="WHEN", help="recorded ones not older than 15m, 6h, 7d, or a time")
    test.add_argument("--tenant", default="", help="of this tenant, with its guards (default: all, the usual ones)")
    test.add_argument("--direction", choices=("input", "output"), default="input", help="default: %(default)s")
    test.add_argument("--channel", choices=("user", "document", "tool"), default="user", help="default: %(default)s")
    add_json_option(test)
    test.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    candidate = load_policy(options.candidate)
    base = load_policy(options.against or load_settings(needs=()).policy)
    before, after = (Pipelines(policy.file).of(options.tenant) for policy in (base, candidate))
    test = Backtest(before, after)
    for row in _recorded(options, candidate.digest) if options.recorded else read_rows(options.jsonl):
        test.add(row.text, row.id, options.direction, options.channel)
    if options.json:
        print_json({"candidate": candidate.digest, "against": base.digest, **_as_json(test)})
    else:
        _print(test)
    return int(bool(test.changes))


def _recorded(options: argparse.Namespace, digest: str) -> Iterator[Row]:
    """Sealed prompts, or answers where the direction is ``output``; those that were erased are left out."""
    with sealed_archive() as archive:
        archive.trail.record_operation(Operation(ACTION, f"backtest:{digest[:16]}", operator()))
        bar, count = Bar("prompts read"), 0
        wanted = Filter(since=options.since, tenant=options.tenant or None)
        for entry in read_entries(archive.objects, wanted):
            if entry.record is None or not archive.sealer.holds(entry.record):
                continue
            try:
                content = archive.sealer.open(entry.record)
            except (ContentGone, ContentUnreadable):
                continue
            text = content and (content.prompt if options.direction == "input" else content.answer)
            if text:
                bar.show(count := count + 1, 0, 0)
                yield Row(text, entry.record.id)
        bar.clear()


def _as_json(test: Backtest) -> dict[str, object]:
    return {
        "prompts": test.prompts,
        "verdicts": {
            name: {verdict: _share(test.share(counts[verdict])) for verdict in VERDICTS}
            for name, counts in zip(("against", "candidate"), test.verdicts, strict=True)
        },
        "changes": [
            {"from": each.before, "to": each.after, **_share(test.share(each.count)), "examples": each.examples}
            for each in test.changes
        ],
        "findings": {
            name: dict(counts.most_common())
            for name, counts in zip(("only_against", "only_candidate"), test.kinds, strict=True)
        },
    }


def _share(share: Share) -> dict[str, object]:
    low, high = share.interval
    return {"count": share.count, "share": round(share.value, 6), "interval": [round(low, 6), round(high, 6)]}


def _print(test: Backtest) -> None:
    print(f"{counted(test.prompts, 'prompt')}; shares with their 95 % confidence intervals\n")
    against, candidate = test.verdicts
    rows = [
        {
            "verdict": verdict,
            "now": _percent(test.share(against[verdict])),
            "candidate": _percent(test.share(candidate[verdict])),
        }
        for verdict in VERDICTS
    ]
    print_table(rows, ("verdict", "now", "candidate"), empty="")
    print()
    changes = [
        {
            "change": f"{each.before} -> {each.after}",
            "prompts": _percent(test.share(each.count)),
            "such_as": ", ".join(map(str, each.examples)),
        }
        for each in test.changes
    ]
    print_table(changes, ("change", "prompts", "such_as"), empty="No verdict would change.")
    for name, counts in zip(("now", "by the candidate"), test.kinds, strict=True):
        if counts:
            print(f"\nFound {name} only: " + ", ".join(f"{kind} in {count}" for kind, count in counts.most_common()))


def _percent(share: Share) -> str:
    low, high = share.interval
    return f"{share.count} ({share.value:.2%}, {low:.2%} to {high:.2%})"
