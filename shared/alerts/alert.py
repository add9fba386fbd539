"""An alert: what it says, its name, and its form as an event and as a line of the log."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec

from shared.alerts.observation import Observation
from shared.alerts.signals import Crossing, SignalName, Step
from shared.stores.events import Event
from shared.web.log import log

TYPE = "wardgate.alert"
SOURCE = "//wardgate/audit_alerts"


class Alert(msgspec.Struct, frozen=True):
    """A subject's counter crossed a level of a signal. It holds no text of a prompt or an answer."""

    id: str
    """The same for the same subject, signal, window and level, however often it is raised."""

    time: str
    """When the event was written that crossed it, RFC 3339."""

    signal: SignalName
    step: Step
    """What was to be done."""

    level: int
    value: int
    threshold: int
    window_start: str
    window_seconds: int
    subject_kind: str
    tenant: str
    key_id: str
    user_hmac: str | None
    cause: str
    """Id of that event in the trail."""

    withheld: str | None = None
    """Why a step beyond the flag was not taken."""


def alert_of(observation: Observation, crossing: Crossing, window_seconds: int) -> Alert:
    """The alert about a crossing."""
    start = observation.at // window_seconds * window_seconds
    subject = observation.subject
    parts = (subject.digest, crossing.signal, str(window_seconds), str(start), str(crossing.level))
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    return Alert(
        id=f"{_time(start):%Y%m%dT%H%M%SZ}-{digest}",
        time=_rfc3339(observation.at),
        signal=crossing.signal,
        step=crossing.step,
        level=crossing.level,
        value=crossing.value,
        threshold=crossing.threshold,
        window_start=_rfc3339(start),
        window_seconds=window_seconds,
        subject_kind=subject.kind,
        tenant=subject.tenant,
        key_id=subject.key_id,
        user_hmac=subject.user_hmac,
        cause=f"{observation.chain_uid}/{observation.seq}",
    )


def event_of(alert: Alert) -> Event:
    """The alert as an event of the alerts topic."""
    return Event(alert.id, SOURCE, TYPE, alert.time, msgspec.json.encode(alert))


def log_alert(alert: Alert) -> None:
    """Write the line that log-based metrics count: ``event`` is ``alert.raised``."""
    log(
        "WARNING",
        "alert.raised",
        alert_id=alert.id,
        signal=alert.signal,
        step=alert.step,
        done=alert.step if alert.withheld is None else "flag",
        level=alert.level,
        value=alert.value,
        threshold=alert.threshold,
        subject_kind=alert.subject_kind,
        tenant=alert.tenant,
        key_id=alert.key_id,
        user_hmac=alert.user_hmac,
        withheld=alert.withheld,
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _rfc3339(seconds: int) -> str:
    return _time(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
