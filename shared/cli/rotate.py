"""``wardgate rotate``: renew the secrets that Wardgate holds, go back, and see how they stand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from shared.audit.port import Operation
from shared.cli.operators import operator, operator_trail
from shared.cli.output import Commands, add_json_option, need_home, print_json, print_table, when
from shared.clock import SystemClock
from shared.errors import BadRequest
from shared.policy import load_policy
from shared.rotation.machine import FOREVER, SCHEDULE, Order
from shared.rotation.rotator import Tell, Tick
from shared.rotation.service import RotationService
from shared.settings import Settings, load_settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.web.log import Severity

_STATUS = ("name", "owner", "status", "state", "version", "previous", "generation", "age_seconds", "due_at", "failures")
_TICKS = ("secret", "result", "state", "generation", "next")
_HISTORY = ("at", "event", "generation", "detail")

_NOT_DONE = ("aborted", "failed", "nothing_enabled")
_NOT_DONE_NOW = (*_NOT_DONE, "in_grace", "busy", "cannot_mint", "not_due")
"""What an order must not end with: the secret was not renewed."""


_SAID = ("rotation.rolled_back", "rotation.unrecorded")
"""Lines of the log that the result says anyway."""


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


def _look() -> RotationService:
    """For commands that change nothing."""
    settings = load_settings(needs={"documents", "secrets"})
    need_home(settings, settings.documents, settings.secrets)
    return _service(settings)


@contextmanager
def _hands(*, may_make_home: bool = False) -> Iterator[RotationService]:
    """Rotation in the hands of whoever runs this command, which the trail is told of."""
    settings = load_settings(needs={"documents", "events", "secrets"})
    if not may_make_home:
        need_home(settings, settings.documents, settings.events, settings.secrets)
    with operator_trail(settings) as trail:

        def tell(action: str, secret: str, detail: str) -> None:
            trail.record_operation(Operation(action, f"secret:{secret}", operator(), detail))

        yield _service(settings, tell)


def _service(settings: Settings, tell: Tell | None = None) -> RotationService:
    return RotationService(
        connect_secrets(settings.secrets),
        connect_documents(settings.documents),
        load_policy(settings.policy).file,
        SystemClock(),
        log=_warn,
        tell=tell,
        environment=settings.environment,
    )


def _warn(severity: Severity, event: str, **fields: str | int | None) -> None:
    """What people should see beside the result; the rest of the log stands in the history."""
    if severity != "INFO" and event not in _SAID:
        told = [str(fields[name]) for name in ("status", "detail", "attempt", "version", "error") if fields.get(name)]
        what = event.removeprefix("rotation.").replace("_", " ")
        print(f"wardgate: {fields['secret']}: {what}" + (f": {', '.join(told)}" if told else ""), file=sys.stderr)


def _status(options: argparse.Namespace) -> int:
    secrets = _look().status()
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
    with _hands(may_make_home=True) as service:
        report = service.run(order, options.secret)
    rows = [_row(tick) for tick in report.ticks]
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _TICKS, empty="There are no secrets.")
    for name in report.unrecorded:
        print(
            f"wardgate: '{name}' IS renewed, but the audit trail did not take the event; the next run tells it.",
            file=sys.stderr,
        )
    if report.unrecorded:
        return 2
    return int(any(tick.result in (_NOT_DONE_NOW if options.now else _NOT_DONE) for tick in report.ticks))


def _rollback(options: argparse.Namespace) -> int:
    with _hands() as service:
        tick = service.rollback(options.secret)
    if options.json:
        print_json(_row(tick))
    else:
        print(f"{tick.secret} is back at its previous version (generation {tick.generation}).")
    return 0


def _history(options: argparse.Namespace) -> int:
    rows = [{**msgspec.to_builtins(entry), "at": when(entry.at)} for entry in _look().history(options.secret)]
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
