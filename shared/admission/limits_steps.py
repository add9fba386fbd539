"""Operations on documents as steps: what to ask of the store, without asking.

An operation is a generator that yields what it needs (a commit, a read, a page) and gets the answer, so that one
text serves threads and event loops alike. Times are microseconds by this machine's clock.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from shared.clock import Clock
from shared.stores.documents import Delete, Write

T = TypeVar("T")

SECOND = 1_000_000

ATTEMPTS = 30
"""How often an operation tries again after somebody else has changed its document."""

READ_LASTS = SECOND
"""So long the state that a read has shown answers for its key."""

PAGE_DOCUMENTS = 100

_KEYS = 10_000


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
class Place:
    """Where one kind of window keeps its documents, and how it tells the time."""

    collection: str
    kind: str
    """A letter that the ids begin with."""

    clock: Clock
    lasts: int
    """How long the state that a hit has seen answers for its key."""

    def path(self, key: str) -> str:
        """The key's document. Hashed: a key holds addresses and names of users, in any characters and length."""
        return f"{self.collection}/{self.kind}{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    def now(self) -> int:
        """Microseconds since the Unix epoch."""
        return self.clock.time_ns() // 1000


class Memory(Generic[T]):
    """What was last seen of each key, of the newest ``_KEYS`` only. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        """What is known of the key."""
        return self._known.get(key)

    def put(self, key: str, value: T) -> T:
        """Remember, and give back."""
        with self._lock:
            self._known[key] = value
            self._known.move_to_end(key)
            if len(self._known) > _KEYS:
                self._known.popitem(last=False)
        return value

    def drop(self, key: str) -> None:
        """Forget one key."""
        with self._lock:
            self._known.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known.clear()


def replacing(path: str, fields: Mapping[str, Any], updated_at: int | None) -> Write:
    """A write of the whole document that fails where it is not as it was seen; None: where there is one."""
    exists = False if updated_at is None else None
    return Write(path, fields=fields, replace=True, exists=exists, updated_at=updated_at)


def utc(microseconds: int) -> datetime:
    """The time as a document holds it."""
    return datetime.fromtimestamp(microseconds / SECOND, UTC)
