"""A bounded set whose members expire, for what may be remembered for a while and forgotten at any time."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

from shared.clock import Clock

K = TypeVar("K", bound=Hashable)


class ExpiringSet(Generic[K]):
    """Members with a time to live. When it is full, the one that was added first makes room.

    Safe under threads; every operation is O(1).
    """

    def __init__(self, capacity: int, clock: Clock) -> None:
        self._capacity = capacity
        self._clock = clock
        self._until: dict[K, int] = {}
        self._lock = threading.Lock()

    def add(self, member: K, seconds: float) -> None:
        """Remember ``member`` for so long."""
        until = self._clock.time_ns() + int(seconds * 1e9)
        with self._lock:
            self._until.pop(member, None)
            if len(self._until) >= self._capacity:
                del self._until[next(iter(self._until))]
            self._until[member] = until

    def __contains__(self, member: K) -> bool:
        until = self._until.get(member)
        return until is not None and self._clock.time_ns() < until

    def __len__(self) -> int:
        return len(self._until)
