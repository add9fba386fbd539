"""The fixed window of the library ``limits``: it begins with the first hit.

Its counter is a field named after the window's end, so that a blind increment can never reach into the next one;
the window itself is replaced under a precondition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.admission.limits_steps import ATTEMPTS, READ_LASTS, SECOND, Get, Memory, Place, Steps, replacing, utc
from shared.errors import PreconditionFailed, StoreContended
from shared.stores.documents import Document, Write


@dataclass(frozen=True, slots=True)
class _Fixed:
    end: int
    count: int
    updated_at: int
    until: int
    """So long it answers questions."""


class FixedWindows:
    """The fixed windows in one collection."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.memory: Memory[_Fixed] = Memory()

    def has(self, key: str) -> bool:
        """Whether a hit on this key is one blind increment."""
        known = self.memory.get(key)
        return known is not None and self._place.now() < known.end

    def hit(self, key: str, expiry: float, amount: int) -> Steps[int]:
        """Count ``amount`` in this window, or in a new one of ``expiry`` seconds; the count after it."""
        for _ in range(ATTEMPTS):
            now = self._place.now()
            known = self.memory.get(key)
            if known is not None and now < known.end:
                count = yield from self._increment(key, known, now, amount)
            else:
                count = yield from self._open(key, known, now, now + int(expiry * SECOND), amount)
            if count is not None:
                return count
        raise StoreContended(f"The fixed window {self._place.path(key)} changed too often.")

    def _increment(self, key: str, known: _Fixed, now: int, amount: int) -> Steps[int | None]:
        """Count blindly; None where the window is not what it was known to be."""
        counter = f"c{known.end}"
        result = (yield [Write(self._place.path(key), increments={counter: amount, "end": 0})]).results[0]
        if result.increments["end"] != known.end:  # cleared, or replaced by a machine whose clock is ahead
            self.memory.drop(key)
            return None
        count: int = result.increments[counter]
        self.memory.put(key, replace(known, count=count, until=now + self._place.lasts))
        return count

    def _open(self, key: str, known: _Fixed | None, now: int, end: int, amount: int) -> Steps[int | None]:
        """Begin a window; None where another process did so first."""
        fields = {"end": end, f"c{end}": amount, "expires_at": utc(end)}
        try:
            write = replacing(self._place.path(key), fields, known.updated_at if known else None)
            result = (yield [write]).results[0]
        except PreconditionFailed:
            yield from self._read(key)
            return None
        self.memory.put(key, _Fixed(end, amount, result.updated_at, now + self._place.lasts))
        return amount

    def count(self, key: str) -> Steps[int]:
        """What is counted in the window that is open, else 0."""
        known = yield from self._see(key)
        return known.count if known else 0

    def end(self, key: str) -> Steps[float]:
        """When the window ends, in seconds since the Unix epoch; now, if none is open."""
        known = yield from self._see(key)
        return (known.end if known else self._place.now()) / SECOND

    def _see(self, key: str) -> Steps[_Fixed | None]:
        now = self._place.now()
        known = self.memory.get(key)
        if known is None or now >= min(known.end, known.until):
            known = yield from self._read(key)
        return known if known is not None and now < known.end else None

    def _read(self, key: str) -> Steps[_Fixed | None]:
        document: Document | None = yield Get(self._place.path(key))
        if document is None:
            self.memory.drop(key)
            return None
        end = document.fields.get("end", 0)
        count = document.fields.get(f"c{end}", 0)
        return self.memory.put(key, _Fixed(end, count, document.updated_at, self._place.now() + READ_LASTS))
