"""Counts what subjects do, each event once, in the document store.

    alert_seen/<chain>-<seq>          says that an event was counted
    alert_counters/<subject>-<epoch>  24 windows of a subject: {"w0": {"blocks": 2, …}, …, "w23": {…}}

One commit makes the first and increments the second, so an event is counted wholly or not at all, and no
second time: the marker must not exist. Markers outlive the time in which an event is counted at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.alerts.observation import Observation
from shared.alerts.signals import Counted
from shared.errors import PreconditionFailed
from shared.stores.documents import DocumentStore, Write

COUNTED_FOR = timedelta(days=1)
"""Older events are not counted any more: their windows are past."""

WINDOWS = 24
"""Windows in one document, and how many before the current one a mean looks at."""

_MARGIN = timedelta(hours=2)
"""For clocks that differ."""


class Counters:
    """Subjects' counters by window."""

    def __init__(self, documents: DocumentStore, window_seconds: int) -> None:
        """
        Args:
            documents: Keeps them.
            window_seconds: Length of a window; another length begins other counters.
        """
        self._documents = documents
        self._seconds = window_seconds

    def count(self, observation: Observation) -> Counted:
        """Add what an event adds, unless it has been added already.

        Raises:
            StoreUnavailable: Whether it was added is unknown; count it again.
        """
        window = observation.at // self._seconds
        adds = observation.adds
        path, name = self._path(observation, window), _name(window)
        marker = Write(
            f"alert_seen/{observation.chain_uid}-{observation.seq}",
            {"expires_at": _moment(observation.at) + COUNTED_FOR + _MARGIN},
            exists=False,
        )
        expires_at = _moment((window // WINDOWS + 2) * WINDOWS * self._seconds) + COUNTED_FOR
        increments = {f"{name}.{counter}": amount for counter, amount in adds.items()}
        try:
            result = self._documents.commit([marker, Write(path, {"expires_at": expires_at}, increments=increments)])
        except PreconditionFailed:
            reached = self._fields(path).get(name)
            values = {counter: _number(reached, counter) for counter in adds}
            return Counted(values, values)
        made = result.results[1].increments
        return Counted({counter: made[f"{name}.{counter}"] for counter in adds}, adds)

    def history(self, observation: Observation, counter: str) -> Sequence[int]:
        """What a counter had reached in the 24 windows before the event's.

        Raises:
            StoreUnavailable: The document store does not answer.
        """
        now = observation.at // self._seconds
        paths = dict.fromkeys(self._path(observation, window) for window in (now - WINDOWS, now))
        found = {path: self._fields(path) for path in paths}
        return [
            _number(found[self._path(observation, window)].get(_name(window)), counter)
            for window in range(now - WINDOWS, now)
        ]

    def _fields(self, path: str) -> Mapping[str, Any]:
        document = self._documents.get(path)
        return {} if document is None else document.fields

    def _path(self, observation: Observation, window: int) -> str:
        return f"alert_counters/{observation.subject.digest}-{self._seconds}-{window // WINDOWS}"


def _name(window: int) -> str:
    return f"w{window % WINDOWS}"


def _number(window: Any, counter: str) -> int:
    return int(window.get(counter, 0)) if isinstance(window, dict) else 0


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
