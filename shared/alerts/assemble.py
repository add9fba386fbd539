"""Puts the alerts together from settings and policy. Opens no connection yet."""

from __future__ import annotations

import atexit

from shared.alerts.alert import SOURCE
from shared.alerts.raising import Raiser
from shared.alerts.sink import AlertsSink
from shared.audit.operations import operations_trail
from shared.audit.port import Operator
from shared.clock import SystemClock
from shared.stores.connect import connect_documents, connect_events
from shared.switch.operate import SwitchOperator
from shared.web.start import Start

_OPERATOR = Operator("audit_alerts", "function")


def assemble(start: Start) -> AlertsSink:
    """Make everything that the function works with; its audit chain is closed when the process ends.

    Raises:
        ConfigurationError: A setting names what does not exist.
    """
    settings, policy, clock = start.settings, start.policy.file.alerts, SystemClock()
    documents = connect_documents(settings.documents)
    trail = operations_trail(settings, documents, clock, SOURCE)
    atexit.register(trail.close)
    switch = SwitchOperator(documents, trail, _OPERATOR, clock)
    raiser = Raiser(documents, connect_events(settings.alerts, setting="WARDGATE_ALERTS"), switch, policy, clock)
    return AlertsSink(documents, raiser, policy, clock)


def import_adapters(start: Start) -> None:
    """Import what these settings need, before gunicorn forks."""
    connect_documents(start.settings.documents)
    connect_events(start.settings.events)
    connect_events(start.settings.alerts, setting="WARDGATE_ALERTS")
