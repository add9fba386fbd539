"""``wardgate audit``: show the trail, and check that it is whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import get_args

from shared.audit.port import Decision
from shared.audit.show import Filter, json_line, read_entries, table_lines
from shared.audit.verify import NOT_PROVEN, verify
from shared.cli import dead_letters, erase
from shared.cli.output import Commands, add_json_option, need_home, print_json, whole_number
from shared.cli.times import past
from shared.clock import SystemClock, utc
from shared.settings import load_settings
from shared.stores.connect import connect_objects
from shared.stores.objects import ObjectStore


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("audit", help="show and check the audit trail", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("show", help="list events; prompts and answers are there as keyed hashes only")
    show.add_argument("--key", metavar="ID", help="of this API key or token subject")
    show.add_argument("--tenant", help="of this tenant")
    show.add_argument("--decision", choices=get_args(Decision), help="that ended so")
    show.add_argument("--guard", help="with a finding of this guard")
    show.add_argument("--kind", help="with a finding of this kind")
    show.add_argument("--request", metavar="ID", help="with this request id")
    show.add_argument("--since", type=past, metavar="WHEN", help="not older than 15m, 6h or 7d, or an RFC 3339 time")
    show.add_argument("--until", type=past, metavar="WHEN", help="older than that")
    show.add_argument(
        "--limit", type=whole_number, default=50, metavar="COUNT", help="at most so many (default: %(default)s; 0: all)"
    )
    show.add_argument("--oldest-first", action="store_true", help="default: newest first")
    add_json_option(show)
    show.set_defaults(run=_show)

    check = actions.add_parser("verify", help="check every chain: exit code 0 sound, 1 a fault")
    add_json_option(check)
    check.set_defaults(run=_verify)

    dead_letters.register(actions)
    erase.register(actions)


def _archive() -> ObjectStore:
    settings = load_settings(needs={"objects"})
    need_home(settings, settings.objects)
    return connect_objects(settings.objects)


def _show(options: argparse.Namespace) -> int:
    wanted = Filter(
        since=options.since,
        until=options.until,
        key_id=options.key,
        tenant=options.tenant,
        decision=options.decision,
        guard=options.guard,
        kind=options.kind,
        request_id=options.request,
    )
    entries = read_entries(_archive(), wanted, newest_first=not options.oldest_first, limit=options.limit or None)
    lines: Iterator[str] = map(json_line, entries) if options.json else table_lines(entries)
    for line in lines:
        print(line)
    return 0


def _verify(options: argparse.Namespace) -> int:
    found = verify(_archive(), utc(SystemClock()))
    if options.json:
        print_json(
            {
                "sound": found.sound,
                "records": found.records,
                "chains": found.chains,
                "open_chains": found.open_chains,
                "faults": [str(fault) for fault in found.faults],
                "pending": [str(fault) for fault in found.pending],
                "not_proven": NOT_PROVEN,
            }
        )
    else:
        print(f"{found.records} records in {found.chains} chains, {found.open_chains} of them without an end.")
        for fault in found.faults:
            print(f"FAULT    {fault}")
        for fault in found.pending:
            print(f"pending  {fault}")
        print("Integrity: " + ("no fault found." if found.sound else f"{len(found.faults)} faults."))
        print(NOT_PROVEN)
    return 0 if found.sound else 1
