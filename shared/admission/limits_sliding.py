"""The sliding window counter of the library ``limits``: this window's count and the weighted one before it.

A hit is a blind increment of this window's field, which also returns the previous one's, so hits never collide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.admission.limits_steps import READ_LASTS, SECOND, Get, Memory, Place, Steps, utc
from shared.stores.documents import Delete, Document, Write

_DENIAL_LASTS = SECOND


@dataclass(frozen=True, slots=True)
class SlidingState:
    """Both windows, as the library asks for them."""

    previous: int
    previous_seconds: float
    current: int
    current_seconds: float


class _Counts(Struct, frozen=True):
    index: int
    """Number of the window."""
    previous: int
    current: int
    until: int
    """So long they answer questions."""
    denied_until: int

    def weighted(self, now: int, period: int, amount: int) -> int:
        """What counts of both windows, and ``amount``."""
        return int(self.previous * (1 - now % period / period) + self.current) + amount


class SlidingWindows:
    """The sliding window counters in one collection."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.memory: Memory[_Counts] = Memory()

    def hit(self, key: str, limit: int, expiry: float, amount: int) -> Steps[bool]:
        """Count ``amount`` if this window and the weighted previous one stay within ``limit``."""
        if amount > limit:
            return False
        now, period = self._place.now(), int(expiry * SECOND)
        index = now // period
        known = self.memory.get(key)
        denied = known is not None and known.index == index and now < known.denied_until
        if known is not None and denied and known.weighted(now, period, amount) > limit:
            return False
        previous, current = f"w{index - 1}", f"w{index}"
        writes = self._writes(key, period, index, amount)
        results = (yield writes).results
        values = {name: value for result in results for name, value in result.increments.items()}
        seen = _Counts(index, values[previous], values[current], now + self._place.lasts, 0)
        if seen.weighted(now, period, 0) <= limit:
            self.memory.put(key, seen)
            return True
        undone = (yield [Write(writes[0].path, increments={current: -amount})]).results[0]
        self.memory.put(key, replace(seen, current=undone.increments[current], denied_until=now + _DENIAL_LASTS))
        return False

    def _writes(self, key: str, period: int, index: int, amount: int) -> list[Write]:
        """The hit, and the read of the window before it, which may lie in the document before."""
        path, before = (self._path(key, period, index - back) for back in (0, 1))
        expires_at = utc((index // _epoch(period) + 1) * _epoch(period) * period + 2 * period)
        removed = [f"w{index - 2}", f"w{index - 3}"]
        hit = Write(path, fields={"expires_at": expires_at}, remove=removed, increments={f"w{index}": amount})
        if path == before:
            return [replace(hit, increments={**hit.increments, f"w{index - 1}": 0})]
        return [hit, Write(before, increments={f"w{index - 1}": 0})]

    def see(self, key: str, expiry: float) -> Steps[SlidingState]:
        """Both windows as they stand."""
        now, period = self._place.now(), int(expiry * SECOND)
        index = now // period
        known = self.memory.get(key)
        if known is None or known.index != index or now >= known.until:
            known = yield from self._read(key, period, index)
        left = (1 - now % period / period) * expiry
        return SlidingState(known.previous, left if known.previous else 0.0, known.current, left + expiry)

    def _read(self, key: str, period: int, index: int) -> Steps[_Counts]:
        fields: dict[str, Any] = {}
        for path in self._both(key, period, index):
            document: Document | None = yield Get(path)
            fields |= document.fields if document else {}
        previous, current = (fields.get(f"w{number}", 0) for number in (index - 1, index))
        return self.memory.put(key, _Counts(index, previous, current, self._place.now() + READ_LASTS, 0))

    def clear(self, key: str, expiry: float) -> Steps[None]:
        """Forget both windows of a key."""
        period = int(expiry * SECOND)
        yield [Delete(path) for path in self._both(key, period, self._place.now() // period)]
        self.memory.drop(key)

    def _both(self, key: str, period: int, index: int) -> list[str]:
        """The documents that hold the window before and this one, which are mostly the same."""
        return list(dict.fromkeys(self._path(key, period, each) for each in (index - 1, index)))

    def _path(self, key: str, period: int, index: int) -> str:
        """A document lasts for an epoch of many windows, so that an idle key's old fields do not pile up."""
        return f"{self._place.path(key)}-{index // _epoch(period)}"


def _epoch(period: int) -> int:
    """Windows per document: an hour's, and at least 64."""
    return max(64, 3600 * SECOND // period)
