"""``wardgate kill``: stop all calls, or those of a tenant, model, tool or key, on every instance within two seconds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.cli.operators import operator, operator_trail
from shared.cli.output import Commands, add_json_option, need_home, print_json, print_table
from shared.clock import SystemClock
from shared.errors import StoreError
from shared.policy import load_policy
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents
from shared.switch.document import Entry
from shared.switch.operate import SwitchOperator, Turned
from shared.switch.state import parse_scope

_COLUMNS = ("scope", "since", "until", "by", "reason")
_SCOPE = "all, tenant:NAME, model:ALIAS, tool:NAME or key:ID"


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("kill", help="stop calls now, and let them go on", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    on = actions.add_parser("on", help="refuse calls in a scope and end those that are running")
    on.add_argument("--scope", required=True, help=_SCOPE)
    on.add_argument("--reason", help="kept in the switch and in the audit trail: name an incident, quote no prompt")
    add_json_option(on)
    on.set_defaults(run=_on)

    off = actions.add_parser("off", help="let calls in a scope go on; other scopes stay as they are")
    off.add_argument("--scope", required=True, help=_SCOPE)
    add_json_option(off)
    off.set_defaults(run=_off)

    status = actions.add_parser("status", help="show what is off limits, since when and by whom")
    add_json_option(status)
    status.set_defaults(run=_status)


def _on(options: argparse.Namespace) -> int:
    settings = _settings()
    with _operator(settings) as operator:
        turned = operator.on(options.scope, options.reason)
    if (doubt := _doubt(turned.scope, settings)) is not None:
        print(f"wardgate: {doubt}", file=sys.stderr)
    return _tell(turned, options)


def _off(options: argparse.Namespace) -> int:
    with _operator(_settings()) as operator:
        return _tell(operator.off(options.scope), options)


def _status(options: argparse.Namespace) -> int:
    with _operator(_settings()) as operator:
        rows = [_row(entry) for entry in operator.status()]
    if options.json:
        print_json({"on": rows})
    else:
        print_table(rows, _COLUMNS, empty="Nothing is switched off: every call goes on.")
    return 0


def _settings() -> Settings:
    settings = load_settings(needs={"documents", "events", "secrets"})
    # A switch in the wrong folder stops nobody, and must not say that it does.
    need_home(settings, settings.documents, settings.events)
    return settings


@contextmanager
def _operator(settings: Settings) -> Iterator[SwitchOperator]:
    """The switch in the hands of whoever runs this command."""
    with operator_trail(settings) as trail:
        yield SwitchOperator(connect_documents(settings.documents), trail, operator(), SystemClock())


def _doubt(scope: str, settings: Settings) -> str | None:
    """Why the scope may be a slip of the pen. It is on all the same."""
    kind, _, value = parse_scope(scope).partition(":")
    if kind == "model" and value not in load_policy(settings.policy).file.models:
        return f"the policy here has no model '{value}'."
    if kind == "key" and value.isalnum():
        try:
            if connect_documents(settings.documents).get(f"keys/{value}") is None:
                return f"there is no API key with the id '{value}' (subjects of tokens are not listed)."
        except StoreError:
            return None
    return None


def _tell(turned: Turned, options: argparse.Namespace) -> int:
    if options.json:
        still_on = [_row(entry) for entry in turned.still_on]
        print_json({"scope": turned.scope, "state": turned.state, "changed": turned.changed, "on": still_on})
        return 0
    if turned.state == "on":
        print(f"The kill switch is on for {turned.scope}" + ("." if turned.changed else "; it was before."))
        print("Every instance refuses such calls, and ends those that run, within 2 seconds.")
        return 0
    print(f"The kill switch is off for {turned.scope}" + ("." if turned.changed else "; it was not on."))
    for entry in turned.still_on:
        print(f"Still on: {entry.scope}")
    return 0


def _row(entry: Entry) -> dict[str, object]:
    return {
        "scope": entry.scope,
        "since": entry.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "until": None if entry.until is None else entry.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": entry.by,
        "reason": entry.reason,
    }
