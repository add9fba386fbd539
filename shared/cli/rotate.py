"""``wardgate rotate``: the secrets that Wardgate holds, and when they are due."""

from __future__ import annotations

import argparse

import msgspec

from shared.cli.output import Commands, add_json_option, need_home, print_json, print_table
from shared.clock import SystemClock
from shared.policy import load_policy
from shared.rotation import service
from shared.settings import load_settings
from shared.stores.connect import connect_secrets

_COLUMNS = ("name", "owner", "status", "version", "age_seconds", "due_at")


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("rotate", help="show when secrets are due", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    status = actions.add_parser("status", help="show every secret's age and due date; changes nothing")
    add_json_option(status)
    status.set_defaults(run=lambda options: _report(options, work=service.status))

    run = actions.add_parser("run", help="do what the schedule does: make missing secrets, then report")
    add_json_option(run)
    run.set_defaults(run=lambda options: _report(options, work=service.run))


def _report(options: argparse.Namespace, work: service.Work) -> int:
    settings = load_settings(needs={"secrets"})
    if work is service.status:
        need_home(settings, settings.secrets)
    report = work(connect_secrets(settings.secrets), load_policy(settings.policy).file, SystemClock())
    if options.json:
        print_json(msgspec.to_builtins(report))
        return 0
    for name in report.made:
        print(f"made {name}")
    rows = [msgspec.to_builtins(secret) for secret in report.secrets]
    print_table(rows, _COLUMNS, empty="There are no secrets.")
    print(f"Rotation: {report.rotation}.")
    return 0
