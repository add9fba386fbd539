"""Puts the alerts together from settings and policy. Opens no connection yet."""

from __future__ import annotations

import atexit
from typing import NoReturn

from shared.alerts.alert import SOURCE
from shared.alerts.raising import Raiser
from shared.alerts.sink import AlertsSink
from shared.audit.heads import Heads
from shared.audit.journal import Journals
from shared.audit.port import Operator
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.errors import SecretNotFound
from shared.policy.types import Audit
from shared.stores.connect import connect_documents, connect_events
from shared.switch.operate import SwitchOperator
from shared.web.start import Start

_OPERATOR = Operator("audit_alerts", "function")


class _NoPeppers:
    """What this function writes are operations, which hold no hashes: it may not even read the pepper."""

    def current(self, name: str) -> NoReturn:
        raise SecretNotFound("This function reads no secrets.")


def assemble(start: Start) -> AlertsSink:
    """Make everything that the function works with; its audit chain is closed when the process ends.

    Raises:
        ConfigurationError: A setting names what does not exist.
    """
    settings, policy, clock = start.settings, start.policy.file.alerts, SystemClock()
    documents = connect_documents(settings.documents)
    trail = ChainWriter(
        connect_events(settings.events),
        _NoPeppers(),
        Audit(mode="fail_close"),
        clock,
        SOURCE,
        heads=Heads(documents),
        journals=Journals(settings.journals),
    )
    atexit.register(trail.close)
    switch = SwitchOperator(documents, trail, _OPERATOR, clock)
    raiser = Raiser(documents, connect_events(settings.alerts, setting="WARDGATE_ALERTS"), switch, policy, clock)
    return AlertsSink(documents, raiser, policy, clock)


def import_adapters(start: Start) -> None:
    """Import what these settings need, before gunicorn forks."""
    connect_documents(start.settings.documents)
    connect_events(start.settings.events)
    connect_events(start.settings.alerts, setting="WARDGATE_ALERTS")
