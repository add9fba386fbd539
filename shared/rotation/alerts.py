"""Tells people what of rotation needs them: log lines of some kinds become events on the alerts topic too.

A failure is told as often as it happens, which the pauses between two tries bound; what is overdue is told once a
day. Where the topic or the document store does not answer, the log line is all there is, and rotation goes on.
"""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta

import msgspec

from shared.clock import Clock, utc
from shared.errors import PreconditionFailed, StoreError
from shared.rotation.journal import Log
from shared.stores.documents import DocumentStore, Write
from shared.stores.events import Event, EventBus
from shared.web.log import Severity, log

TYPE = "wardgate.rotation_alert"
SOURCE = "//wardgate/rotate_secrets"

TOLD = frozenset(f"rotation.{event}" for event in ("overdue", "failed", "aborted", "not_revoked", "orphan_possible"))
"""The events of the log that are told."""

_DAILY = frozenset({"rotation.overdue"})
"""Those that every run would tell again."""

_COLLECTION = "rotation_alerts"
_KEPT_FOR = timedelta(days=2)


class AlertingLog:
    """``Log`` that publishes some of its lines. They hold names, numbers and codes; never a value."""

    def __init__(self, bus: EventBus, documents: DocumentStore, clock: Clock, log: Log = log) -> None:
        """
        Args:
            bus: The alerts topic.
            documents: Remember what was told today.
            clock: Dates the alerts.
            log: Writes a line, as ``shared.web.log.log`` does.
        """
        self._bus = bus
        self._documents = documents
        self._clock = clock
        self._log = log

    def __call__(self, severity: Severity, event: str, **fields: str | int | None) -> None:
        """Write a line, and publish it where people should know."""
        self._log(severity, event, **fields)
        if event not in TOLD:
            return
        try:
            self._tell(severity, event, fields)
        except StoreError as error:
            self._log("ERROR", "rotation.alert_not_told", alert=event, error=type(error).__name__)

    def _tell(self, severity: Severity, event: str, fields: dict[str, str | int | None]) -> None:
        now = utc(self._clock)
        alert_id = uuid.uuid4().hex
        path = None
        if event in _DAILY:
            alert_id = f"{event}-{fields.get('secret')}-{now.astimezone(UTC):%Y%m%d}"
            path = f"{_COLLECTION}/{alert_id}"
            if self._documents.get(path) is not None:
                return
        told = {"id": alert_id, "time": now, "event": event, "severity": severity, **fields}
        self._bus.publish(Event(alert_id, SOURCE, TYPE, now.isoformat(), msgspec.json.encode(told)))
        if path is not None:
            self._remember(path)

    def _remember(self, path: str) -> None:
        """Only now: an alert that was told twice does less harm than one that was not."""
        expires_at = utc(self._clock) + _KEPT_FOR
        try:
            self._documents.commit([Write(path, {"expires_at": expires_at}, exists=False)])
        except PreconditionFailed:
            return  # another process has told it at the same time
