"""Raises an alert: claims it, takes its step, publishes it, and notes that all this was done.

    alerts/<id>   one document for each alert, with ``told`` once it was published

Whoever makes the document raises the alert, and stays the one who does, named by the event that was the
cause: that event is not acknowledged before, so it comes again should its process die on the way. Other
events that meet the document go on. So an alert is published once, and once more only where a process
died between publishing and noting it; it has the same id then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from shared.alerts.alert import Alert, event_of, log_alert
from shared.clock import Clock, utc
from shared.errors import BadRequest, PreconditionFailed, StoreUnavailable, Unrecorded
from shared.policy.types import Alerts
from shared.stores.documents import DocumentStore, Write
from shared.stores.events import EventBus
from shared.switch.operate import SwitchOperator

COLLECTION = "alerts"
KEPT_FOR = timedelta(days=90)

SHARED_KEY = "one user of a shared key cannot be switched off alone"
SWITCH_REFUSED = "the kill switch does not take it"


class Raiser:
    """Raises alerts, each once."""

    def __init__(
        self, documents: DocumentStore, bus: EventBus, switch: SwitchOperator, policy: Alerts, clock: Clock
    ) -> None:
        """
        Args:
            documents: Remembers what was raised.
            bus: The alerts topic.
            switch: Stops keys, in the name of this function.
            policy: Says for how long.
            clock: Tells when a stop ends.
        """
        self._documents = documents
        self._bus = bus
        self._switch = switch
        self._policy = policy
        self._clock = clock

    def raise_alert(self, alert: Alert) -> None:
        """Raise it, unless that was done or is another event's task.

        Raises:
            StoreUnavailable: It is not raised yet; raise it again.
        """
        if not self._claim(alert):
            return
        alert = self._take_step(alert)
        self._bus.publish(event_of(alert))
        log_alert(alert)
        self._documents.commit([Write(_path(alert), {**msgspec.structs.asdict(alert), "told": True})])

    def _claim(self, alert: Alert) -> bool:
        expires_at = utc(self._clock) + KEPT_FOR
        fields = {**msgspec.structs.asdict(alert), "told": False, "expires_at": expires_at}
        try:
            self._documents.commit([Write(_path(alert), fields, exists=False)])
        except PreconditionFailed:
            document = self._documents.get(_path(alert))
            return document is not None and document.fields["cause"] == alert.cause and not document.fields["told"]
        return True

    def _take_step(self, alert: Alert) -> Alert:
        """Stop the key where that is the step; the alert says if it could not be done."""
        if alert.step == "flag":
            return alert
        if alert.subject_kind != "key":
            return msgspec.structs.replace(alert, withheld=SHARED_KEY)
        try:
            self._switch.on(f"key:{alert.key_id}", f"{alert.step}: {alert.signal}, alert {alert.id}", self._end(alert))
        except BadRequest:
            return msgspec.structs.replace(alert, withheld=SWITCH_REFUSED)
        except Unrecorded as error:
            raise StoreUnavailable("The trail did not take the event of a step.") from error
        return alert

    def _end(self, alert: Alert) -> datetime:
        throttled = alert.step == "throttle"
        seconds = self._policy.throttle_seconds if throttled else self._policy.quarantine_seconds
        return utc(self._clock) + timedelta(seconds=seconds)


def _path(alert: Alert) -> str:
    return f"{COLLECTION}/{alert.id}"
