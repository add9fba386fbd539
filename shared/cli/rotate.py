"""``wardgate rotate``: renew the secrets that Wardgate holds, go back, and see how they stand."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from shared.cli.output import Commands, add_json_option, need_home, print_json, print_table, when
from shared.clock import SystemClock
from shared.errors import BadRequest
from shared.policy import load_policy
from shared.rotation.machine import FOREVER, SCHEDULE, Order
from shared.rotation.rotator import Tick
from shared.rotation.service import RotationService
from shared.settings import load_settings
from shared.stores.connect import connect_documents, connect_secrets

_STATUS = ("name", "owner", "status", "state", "version", "previous", "generation", "age_seconds", "due_at", "failures")
_TICKS = ("secret", "result", "state", "generation", "next")
_HISTORY = ("at", "event", "generation", "detail")

_NOT_DONE = ("aborted", "failed", "nothing_enabled")
_NOT_DONE_NOW = (*_NOT_DONE, "in_grace", "busy", "cannot_mint", "not_due")
"""What an order must not end with: the secret was not renewed."""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("rotate", help="renew secrets and see when they are due", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    status = actions.add_parser("status", help="show every secret's age, due date and state; changes nothing")
    add_json_option(status)
    status.set_defaults(run=_status)

    run = actions.add_parser("run", help="do what the schedule does: make what is missing, renew what is due")
    run.add_argument("--now", action="store_true", help="renew even what is not due; in a grace period: in_grace")
    run.add_argument("--secret", metavar="NAME", help="only this one (default: all)")
    run.add_argument(
        "--revoke-immediately",
        action="store_true",
        help="with --now: revoke the old key at once, without a grace period; for a key that leaked",
    )
    add_json_option(run)
    run.set_defaults(run=_run)

    rollback = actions.add_parser("rollback", help="go back to the previous version, within its grace period")
    rollback.add_argument("--secret", metavar="NAME", required=True, help="which secret")
    add_json_option(rollback)
    rollback.set_defaults(run=_rollback)

    history = actions.add_parser("history", help="show what happened to a secret, oldest first")
    history.add_argument("--secret", metavar="NAME", required=True, help="which secret")
    add_json_option(history)
    history.set_defaults(run=_history)


def _service(*, may_make_home: bool = False) -> RotationService:
    settings = load_settings(needs={"documents", "secrets"})
    if not may_make_home:
        need_home(settings, settings.documents, settings.secrets)
    store, documents = connect_secrets(settings.secrets), connect_documents(settings.documents)
    return RotationService(
        store, documents, load_policy(settings.policy).file, SystemClock(), environment=settings.environment
    )


def _status(options: argparse.Namespace) -> int:
    secrets = _service().status()
    rows: list[dict[str, Any]] = [msgspec.to_builtins(secret) for secret in secrets]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _STATUS, empty="There are no secrets.")
    trouble = any(secret.owner == "wardgate" and secret.status in ("overdue", "missing") for secret in secrets)
    return 1 if trouble or any(secret.failures for secret in secrets) else 0


def _run(options: argparse.Namespace) -> int:
    if options.revoke_immediately and not options.now:
        raise BadRequest("--revoke-immediately needs --now: it ends what is in use now.")
    order = Order(FOREVER, options.revoke_immediately) if options.now else SCHEDULE
    report = _service(may_make_home=True).run(order, options.secret)
    rows = [_row(tick) for tick in report.ticks]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _TICKS, empty="There are no secrets.")
    return int(any(tick.result in (_NOT_DONE_NOW if options.now else _NOT_DONE) for tick in report.ticks))


def _rollback(options: argparse.Namespace) -> int:
    tick = _service().rollback(options.secret)
    if options.json:
        print_json(_row(tick))
    else:
        print(f"{tick.secret} is back at its previous version (generation {tick.generation}).")
    return 0


def _history(options: argparse.Namespace) -> int:
    rows = [{**msgspec.to_builtins(entry), "at": when(entry.at)} for entry in _service().history(options.secret)]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _HISTORY, empty="Nothing has happened to it yet.")
    return 0


def _row(tick: Tick) -> dict[str, object]:
    return {
        "secret": tick.secret,
        "result": tick.result,
        "state": tick.state,
        "generation": tick.generation,
        "next": when(tick.until),
    }
