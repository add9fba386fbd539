"""``wardgate alerts``: what was suspicious, and what was done about it."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import get_args

import msgspec

from shared.alerts.alert import Alert
from shared.alerts.reading import read_alerts
from shared.alerts.signals import SignalName
from shared.cli.output import Commands, add_json_option, need_home, print_json, print_table
from shared.cli.times import past
from shared.clock import SystemClock, utc
from shared.settings import load_settings
from shared.stores.connect import connect_documents

_COLUMNS = ("time", "signal", "step", "tenant", "key_id", "value", "threshold", "subject", "withheld")


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("alerts", help="show what was suspicious", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("list", help="list alerts, the oldest first")
    show.add_argument("--signal", choices=get_args(SignalName), help="of this signal")
    show.add_argument("--key", metavar="ID", help="about this API key or token subject")
    show.add_argument("--tenant", help="about this tenant")
    show.add_argument("--since", type=past, metavar="WHEN", help="not older than 15m, 6h or 7d, or an RFC 3339 time")
    add_json_option(show)
    show.set_defaults(run=_list)


def _list(options: argparse.Namespace) -> int:
    settings = load_settings(needs={"documents"})
    need_home(settings, settings.documents)
    found = read_alerts(connect_documents(settings.documents), utc(SystemClock()))
    wanted = (alert for alert in found if _is_wanted(alert, options))
    alerts = sorted(wanted, key=lambda alert: (alert.time, alert.signal, alert.level))
    if options.json:
        print_json([msgspec.structs.asdict(alert) for alert in alerts])
    else:
        print_table([_row(alert) for alert in alerts], _COLUMNS, empty="No alerts.")
    return 0


def _is_wanted(alert: Alert, options: argparse.Namespace) -> bool:
    exact = ((alert.signal, options.signal), (alert.key_id, options.key), (alert.tenant, options.tenant))
    recent = options.since is None or datetime.fromisoformat(alert.time) >= options.since
    return recent and all(wanted is None or value == wanted for value, wanted in exact)


def _row(alert: Alert) -> dict[str, object]:
    subject = alert.subject_kind if alert.user_hmac is None else f"user {alert.user_hmac[:12]}"
    return {**msgspec.structs.asdict(alert), "subject": subject}
