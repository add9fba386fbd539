"""The moving window of the library ``limits``: the log of hits, replaced under a precondition on what was last seen."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from shared.admission.limits_steps import ATTEMPTS, READ_LASTS, SECOND, Get, Memory, Place, Steps, replacing, utc
from shared.errors import PreconditionFailed, StoreContended
from shared.stores.documents import Document

_MOST_ENTRIES = 4096
_ENTRY = struct.Struct("<qq")

Entries = Sequence[tuple[int, int]]
"""Hits as (time, amount), oldest first."""


@dataclass(frozen=True, slots=True)
class MovingState:
    """Where a moving window begins, in seconds since the Unix epoch, and how much is in it."""

    start: float
    amount: int


@dataclass(frozen=True, slots=True)
class _Log:
    entries: Entries
    updated_at: int | None
    until: int
    """So long it answers questions."""

    def since(self, start: int) -> list[tuple[int, int]]:
        return [entry for entry in self.entries if entry[0] >= start]


class MovingWindows:
    """The moving windows in one collection."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.memory: Memory[_Log] = Memory()

    def hit(self, key: str, limit: int, expiry: float, amount: int) -> Steps[bool]:
        """Enter ``amount`` into the log if no more than ``limit`` lies in the last ``expiry`` seconds."""
        if amount > limit:
            return False
        for _ in range(ATTEMPTS):
            now = self._place.now()
            known = self.memory.get(key) or (yield from self._read(key))
            live = known.since(now - int(expiry * SECOND))
            if _sum(live) + amount <= limit:
                entered = (max(now, live[-1][0]) if live else now, amount)
                if (yield from self._replace(key, known, shortened([*live, entered]), now, expiry)):
                    return True
            elif now < known.until:  # others can only have added, unless they cleared
                return False
            self.memory.drop(key)
        raise StoreContended(f"The moving window {self._place.path(key)} changed too often.")

    def _replace(self, key: str, known: _Log, entries: Entries, now: int, expiry: float) -> Steps[bool]:
        """Write the log; False where it is not what it was known to be."""
        fields = {"log": _pack(entries), "expires_at": utc(now + int(expiry * SECOND))}
        try:
            result = (yield [replacing(self._place.path(key), fields, known.updated_at)]).results[0]
        except PreconditionFailed:
            return False
        self.memory.put(key, _Log(entries, result.updated_at, now + self._place.lasts))
        return True

    def see(self, key: str, expiry: float) -> Steps[MovingState]:
        """The moving window as it stands."""
        known = self.memory.get(key)
        if known is None or self._place.now() >= known.until:
            known = yield from self._read(key)
        now = self._place.now()
        live = known.since(now - int(expiry * SECOND))
        return MovingState((live[0][0] if live else now) / SECOND, _sum(live))

    def _read(self, key: str) -> Steps[_Log]:
        document: Document | None = yield Get(self._place.path(key))
        until = self._place.now() + READ_LASTS
        if document is None:
            return self.memory.put(key, _Log((), None, until))
        return self.memory.put(key, _Log(_unpack(document.fields["log"]), document.updated_at, until))


def shortened(entries: Entries, most: int = _MOST_ENTRIES) -> Entries:
    """A log that is too long, with each pair of entries taken as of the later: stricter, never laxer."""
    if len(entries) <= most:
        return tuple(entries)
    pairs = zip(entries[::2], entries[1::2], strict=False)
    merged = [(later[0], earlier[1] + later[1]) for earlier, later in pairs]
    return (*merged, entries[-1]) if len(entries) % 2 else tuple(merged)


def _sum(entries: Entries) -> int:
    return sum(amount for _, amount in entries)


def _pack(entries: Entries) -> bytes:
    return b"".join(_ENTRY.pack(*entry) for entry in entries)


def _unpack(log: bytes) -> Entries:
    return tuple((time, amount) for time, amount in _ENTRY.iter_unpack(log))
