"""``wardgate limits``: show how the limits of a subject stand, and set them back."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from shared.admission.counters import Rule, lease_window
from shared.admission.limiter import lease_seconds
from shared.admission.view import LimitsView, Subject
from shared.audit.content import subject_id
from shared.cli.operators import operator_trail, tell_first
from shared.cli.output import Commands, add_json_option, counted, need_home, print_json, print_table
from shared.clock import SystemClock
from shared.policy.load import load_policy
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents

_COLUMNS = ("name", "kind", "mode", "amount", "used", "remaining", "whole_after_seconds")


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("limits", help="show or reset what limits have counted", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("show", help="how the limits of a key, user or tenant stand, or those for everyone")
    _add_subject(show)
    show.set_defaults(run=_show)

    reset = actions.add_parser("reset", help="forget what was counted; admission numbers and running calls stay")
    _add_subject(reset)
    reset.set_defaults(run=_reset)


def _add_subject(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", type=_subject, help="key:ID (or just ID), user:TENANT/USER, tenant:TENANT or global")
    add_json_option(parser)


def _subject(text: str) -> Subject:
    try:
        return Subject.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _in_trail(subject: Subject) -> str:
    """The subject without a user's name, which the trail never holds."""
    if subject.scope == "user":
        tenant, _, user = subject.name.partition("\0")
        return f"user:{subject_id(tenant=tenant, user=user)}"
    return f"{subject.scope}:{subject.name}"[:128] if subject.name else subject.scope


def _view(settings: Settings) -> LimitsView:
    policy = load_policy(settings.policy).file
    deadline = policy.admission.deadline_ms
    lease = lease_window(lease_seconds(policy), deadline)
    rules = [Rule(limit, lease, deadline) for limit in policy.limits]
    return LimitsView(connect_documents(settings.documents), rules, SystemClock())


def _show(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"documents"})
    need_home(settings, settings.documents)
    rows = [
        {**asdict(view), "whole_after_seconds": round(view.whole_after_seconds, 1)}
        for view in _view(settings).show(options.subject)
    ]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS, empty="The policy has no limit for such subjects.")
    return 0


def _reset(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"documents", "events", "secrets"})
    need_home(settings, settings.documents, settings.events)
    view = _view(settings)
    with operator_trail(settings) as trail:
        tell_first(trail, "limits.reset", _in_trail(options.subject), "nothing is reset")
        count = view.reset(options.subject)
    if options.json:
        print_json({"reset": count})
    else:
        print(f"Reset {counted(count, 'limit')}; numbers and what running calls hold stay.")
    return 0
