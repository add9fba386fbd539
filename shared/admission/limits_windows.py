"""The windows of the PyPI library ``limits`` on documents: what to ask of the store, step by step, without asking.

Each operation is a generator that yields what it needs (a commit, a read, a page) and gets the answer, so one
text serves threads and event loops alike.

- Fixed window: it begins with the first hit. Its counter is a field named after the window's end, so a blind
  increment can never reach into the next one; the window is replaced under a precondition.
- Moving window: the log of hits, as (time, amount), replaced under a precondition on what was last seen.
- Sliding window counter: a blind increment of this window's field, which also returns the previous one's.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from shared.clock import Clock, SystemClock
from shared.errors import PreconditionFailed, StoreContended
from shared.stores.document_fields import check_collection
from shared.stores.documents import Delete, Document, Write

T = TypeVar("T")

ATTEMPTS = 30
"""How often an operation tries again after somebody else has changed its document."""

PAGE_DOCUMENTS = 100

_SECOND = 1_000_000
_READ_LASTS = _SECOND
_DENIAL_LASTS = _SECOND
_KEYS = 10_000
_LOG_ENTRIES = 4096
_ENTRY = struct.Struct("<qq")


@dataclass(frozen=True, slots=True)
class Get:
    """Asks for one document."""

    path: str


@dataclass(frozen=True, slots=True)
class Page:
    """Asks for the ``PAGE_DOCUMENTS`` documents of the collection that follow an id."""

    collection: str
    after: str


Step = Get | Page | Sequence[Write | Delete]
Steps = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class SlidingState:
    """Both windows of a sliding window counter, as the library asks for them."""

    previous: int
    previous_seconds: float
    current: int
    current_seconds: float


@dataclass(frozen=True, slots=True)
class MovingState:
    """Where a moving window begins, in seconds since the Unix epoch, and how much is in it."""

    start: float
    amount: int


@dataclass(frozen=True, slots=True)
class _Fixed:
    end: int
    count: int
    updated_at: int
    until: int


@dataclass(frozen=True, slots=True)
class _Log:
    entries: tuple[tuple[int, int], ...]
    updated_at: int | None
    until: int


@dataclass(frozen=True, slots=True)
class _Counts:
    index: int
    previous: int
    current: int
    until: int
    denied_until: int


class _Memory(Generic[T]):
    """What was last seen of each key, of the newest ``_KEYS`` only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        return self._known.get(key)

    def put(self, key: str, value: T) -> T:
        with self._lock:
            self._known[key] = value
            self._known.move_to_end(key)
            if len(self._known) > _KEYS:
                self._known.popitem(last=False)
        return value

    def drop(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


class Windows:
    """The windows in one collection. Times are microseconds by this machine's clock."""

    def __init__(self, collection: str, *, memory_seconds: float, clock: Clock | None = None) -> None:
        """Fails on a malformed collection with ValueError.

        Args:
            collection: Where the documents lie.
            memory_seconds: How long what a hit has seen answers questions about its key.
            clock: Tells the time.
        """
        check_collection(collection)
        self._collection = collection
        self._lasts = int(memory_seconds * _SECOND)
        self._clock = clock or SystemClock()
        self._fixed: _Memory[_Fixed] = _Memory()
        self._logs: _Memory[_Log] = _Memory()
        self._counts: _Memory[_Counts] = _Memory()

    # --- fixed window

    def has_fixed(self, key: str) -> bool:
        """Whether a hit on this key is one blind increment."""
        known = self._fixed.get(key)
        return known is not None and self._now() < known.end

    def hit_fixed(self, key: str, expiry: float, amount: int) -> Steps[int]:
        """Count ``amount`` in this window, or in a new one of ``expiry`` seconds; the count after it."""
        path = self._path("f", key)
        for _ in range(ATTEMPTS):
            now = self._now()
            known = self._fixed.get(key)
            if known is not None and now < known.end:
                counter = f"c{known.end}"
                result = (yield [Write(path, increments={counter: amount, "end": 0})]).results[0]
                if result.increments["end"] == known.end:
                    count: int = result.increments[counter]
                    self._fixed.put(key, replace(known, count=count, until=now + self._lasts))
                    return count
                self._fixed.drop(key)  # cleared, or replaced by a machine whose clock is ahead
                continue
            end = now + int(expiry * _SECOND)
            fields = {"end": end, f"c{end}": amount, "expires_at": _utc(end)}
            try:
                result = (yield [_replacing(path, fields, known.updated_at if known else None)]).results[0]
            except PreconditionFailed:
                yield from self._read_fixed(key)
                continue
            self._fixed.put(key, _Fixed(end, amount, result.updated_at, now + self._lasts))
            return amount
        raise StoreContended(f"The fixed window {path} changed too often.")

    def _read_fixed(self, key: str) -> Steps[_Fixed | None]:
        document: Document | None = yield Get(self._path("f", key))
        if document is None:
            self._fixed.drop(key)
            return None
        end = document.fields.get("end", 0)
        count = document.fields.get(f"c{end}", 0)
        return self._fixed.put(key, _Fixed(end, count, document.updated_at, self._now() + _READ_LASTS))

    def _see_fixed(self, key: str) -> Steps[_Fixed | None]:
        now = self._now()
        known = self._fixed.get(key)
        if known is None or now >= min(known.end, known.until):
            known = yield from self._read_fixed(key)
        return known if known is not None and now < known.end else None

    def count_fixed(self, key: str) -> Steps[int]:
        """What is counted in the window that is open, else 0."""
        known = yield from self._see_fixed(key)
        return known.count if known else 0

    def end_fixed(self, key: str) -> Steps[float]:
        """When the window ends, in seconds since the Unix epoch; now, if none is open."""
        known = yield from self._see_fixed(key)
        return (known.end if known else self._now()) / _SECOND

    # --- moving window

    def hit_moving(self, key: str, limit: int, expiry: float, amount: int) -> Steps[bool]:
        """Enter ``amount`` into the log if no more than ``limit`` lies in the last ``expiry`` seconds."""
        if amount > limit:
            return False
        path = self._path("m", key)
        for _ in range(ATTEMPTS):
            now = self._now()
            known = self._logs.get(key) or (yield from self._read_log(key))
            live = [entry for entry in known.entries if entry[0] >= now - int(expiry * _SECOND)]
            if sum(count for _, count in live) + amount > limit:
                if now < known.until:  # others can only have added, unless they cleared
                    return False
                self._logs.drop(key)
                continue
            entries = shortened([*live, (max(now, live[-1][0]) if live else now, amount)])
            fields = {"log": _pack(entries), "expires_at": _utc(now + int(expiry * _SECOND))}
            try:
                result = (yield [_replacing(path, fields, known.updated_at)]).results[0]
            except PreconditionFailed:
                self._logs.drop(key)
                continue
            self._logs.put(key, _Log(entries, result.updated_at, now + self._lasts))
            return True
        raise StoreContended(f"The moving window {path} changed too often.")

    def _read_log(self, key: str) -> Steps[_Log]:
        document: Document | None = yield Get(self._path("m", key))
        until = self._now() + _READ_LASTS
        if document is None:
            return self._logs.put(key, _Log((), None, until))
        return self._logs.put(key, _Log(_unpack(document.fields["log"]), document.updated_at, until))

    def see_moving(self, key: str, expiry: float) -> Steps[MovingState]:
        """The moving window as it stands."""
        known = self._logs.get(key)
        if known is None or self._now() >= known.until:
            known = yield from self._read_log(key)
        now = self._now()
        live = [entry for entry in known.entries if entry[0] >= now - int(expiry * _SECOND)]
        return MovingState((live[0][0] if live else now) / _SECOND, sum(count for _, count in live))

    # --- sliding window counter

    def hit_sliding(self, key: str, limit: int, expiry: float, amount: int) -> Steps[bool]:
        """Count ``amount`` if this window and the weighted previous one stay within ``limit``."""
        now, period = self._now(), int(expiry * _SECOND)
        index = now // period
        known = self._counts.get(key)
        if amount > limit:
            return False
        if (
            known
            and known.index == index
            and now < known.denied_until
            and _weighted(known, now, period, amount) > limit
        ):
            return False
        previous, current = f"w{index - 1}", f"w{index}"
        writes = self._sliding_writes(key, period, index, amount)
        results = (yield writes).results
        values = {name: value for result in results for name, value in result.increments.items()}
        seen = _Counts(index, values[previous], values[current], now + self._lasts, 0)
        if _weighted(seen, now, period, 0) <= limit:
            self._counts.put(key, seen)
            return True
        undone = (yield [Write(writes[0].path, increments={current: -amount})]).results[0]
        self._counts.put(key, replace(seen, current=undone.increments[current], denied_until=now + _DENIAL_LASTS))
        return False

    def _sliding_writes(self, key: str, period: int, index: int, amount: int) -> list[Write]:
        """A document lasts for an epoch of many windows, so that an idle key's old fields do not pile up."""
        path, before = (self._sliding_path(key, period, index - back) for back in (0, 1))
        expires_at = _utc((index // _epoch(period) + 1) * _epoch(period) * period + 2 * period)
        removed = [f"w{index - 2}", f"w{index - 3}"]
        hit = Write(path, fields={"expires_at": expires_at}, remove=removed, increments={f"w{index}": amount})
        if path == before:
            return [replace(hit, increments={**hit.increments, f"w{index - 1}": 0})]
        return [hit, Write(before, increments={f"w{index - 1}": 0})]

    def _sliding_path(self, key: str, period: int, index: int) -> str:
        return f"{self._path('s', key)}-{index // _epoch(period)}"

    def see_sliding(self, key: str, expiry: float) -> Steps[SlidingState]:
        """Both windows as they stand."""
        now, period = self._now(), int(expiry * _SECOND)
        index = now // period
        known = self._counts.get(key)
        if known is None or known.index != index or now >= known.until:
            known = yield from self._read_counts(key, period, index)
        left = (1 - now % period / period) * expiry
        return SlidingState(known.previous, left if known.previous else 0.0, known.current, left + expiry)

    def _read_counts(self, key: str, period: int, index: int) -> Steps[_Counts]:
        fields: dict[str, Any] = {}
        for path in dict.fromkeys(self._sliding_path(key, period, each) for each in (index - 1, index)):
            document: Document | None = yield Get(path)
            fields |= document.fields if document else {}
        until = self._now() + _READ_LASTS
        return self._counts.put(
            key, _Counts(index, fields.get(f"w{index - 1}", 0), fields.get(f"w{index}", 0), until, 0)
        )

    def clear_sliding(self, key: str, expiry: float) -> Steps[None]:
        """Forget both windows of a sliding window counter."""
        period = int(expiry * _SECOND)
        index = self._now() // period
        yield [
            Delete(path) for path in dict.fromkeys(self._sliding_path(key, period, each) for each in (index - 1, index))
        ]
        self._counts.drop(key)

    # --- all of them

    def clear(self, key: str) -> Steps[None]:
        """Forget a key's fixed and moving window."""
        yield [Delete(self._path(kind, key)) for kind in "fm"]
        self._fixed.drop(key)
        self._logs.drop(key)

    def reset(self) -> Steps[int]:
        """Forget every window in the collection; how many documents there were."""
        count, after = 0, ""
        while documents := (yield Page(self._collection, after)):
            yield [Delete(document.path) for document in documents]
            count += len(documents)
            after = documents[-1].id
        for memory in (self._fixed, self._logs, self._counts):
            memory.clear()
        return count

    def probe(self) -> Steps[None]:
        """Ask for anything."""
        yield Get(f"{self._collection}/probe")

    def _now(self) -> int:
        return self._clock.time_ns() // 1000

    def _path(self, kind: str, key: str) -> str:
        # Hashed: a key holds addresses and names of users, in any characters and at any length.
        return f"{self._collection}/{kind}{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _replacing(path: str, fields: Mapping[str, Any], updated_at: int | None) -> Write:
    exists = False if updated_at is None else None
    return Write(path, fields=fields, replace=True, exists=exists, updated_at=updated_at)


def _weighted(counts: _Counts, now: int, period: int, amount: int) -> int:
    return int(counts.previous * (1 - now % period / period) + counts.current) + amount


def _epoch(period: int) -> int:
    """Windows per document: an hour's, and at least 64."""
    return max(64, 3600 * _SECOND // period)


def shortened(entries: Sequence[tuple[int, int]], most: int = _LOG_ENTRIES) -> tuple[tuple[int, int], ...]:
    """A log that is too long, with each pair of entries taken as of the later: stricter, never laxer."""
    if len(entries) <= most:
        return tuple(entries)
    pairs = zip(entries[::2], entries[1::2], strict=False)
    merged = [(later[0], earlier[1] + later[1]) for earlier, later in pairs]
    return (*merged, entries[-1]) if len(entries) % 2 else tuple(merged)


def _pack(entries: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(_ENTRY.pack(*entry) for entry in entries)


def _unpack(log: bytes) -> tuple[tuple[int, int], ...]:
    return tuple((time, amount) for time, amount in _ENTRY.iter_unpack(log))


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / _SECOND, UTC)
