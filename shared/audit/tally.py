"""Counts requests that a process turns away by itself, so that whoever attacks cannot fill the trail.

A key's first such request is told at once; those of the ten seconds after it are counted and told together,
with the next request of anybody or at the end of the process, and so on. That is one event for each key,
reason and ten seconds. A killed process loses what it has counted since its last event: ten seconds of it
at most, since a later request would have told it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from msgspec import Struct

from shared.audit.port import TurnedAway

WINDOW = 10_000_000_000
"""Nanoseconds between two events of the same key and reason."""

CAPACITY = 10_000
"""Keys and reasons counted at once."""


class Counted(Struct, frozen=True):
    """Requests of the same key that were turned away for the same reason."""

    request: TurnedAway
    count: int
    first_at: int
    """Nanoseconds since the Unix epoch."""

    last_at: int


class _Window(Struct):
    since: int
    count: int = 0
    first_at: int = 0
    last_at: int = 0


class Tally:
    """The counts of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: OrderedDict[TurnedAway, _Window] = OrderedDict()
        """By their beginning, the oldest first."""

    def __len__(self) -> int:
        return len(self._windows)

    def count(self, request: TurnedAway, now: int) -> None:
        """Count one more at ``now`` (nanoseconds since the Unix epoch)."""
        with self._lock:
            window = self._windows.get(request)
            if window is None:
                window = self._windows[request] = _Window(now - WINDOW)
                self._windows.move_to_end(request, last=False)
            window.first_at = window.first_at if window.count else now
            window.count, window.last_at = window.count + 1, now

    def due(self, now: int, most: int) -> list[Counted]:
        """Take what is to be told at ``now``, at most so many events; where more is counted than there is room
        for, the oldest is due before its time."""
        taken: list[Counted] = []
        with self._lock:
            while self._windows and len(taken) < most:
                request, window = next(iter(self._windows.items()))
                # A clock that was set back must not hold a count for ever.
                if 0 <= now - window.since < WINDOW and len(self._windows) <= CAPACITY:
                    break
                del self._windows[request]
                if window.count:
                    taken.append(Counted(request, window.count, window.first_at, window.last_at))
                    if len(self._windows) < CAPACITY:
                        self._windows[request] = _Window(now)
        return taken

    def give_back(self, counted: Counted) -> None:
        """What could not be told is told with the next."""
        with self._lock:
            window = self._windows.setdefault(counted.request, _Window(counted.first_at))
            window.last_at = max(window.last_at, counted.last_at)
            window.first_at, window.count = counted.first_at, window.count + counted.count

    def all(self) -> list[Counted]:
        """Take everything that is counted."""
        with self._lock:
            windows, self._windows = self._windows, OrderedDict()
        return [Counted(key, each.count, each.first_at, each.last_at) for key, each in windows.items() if each.count]
