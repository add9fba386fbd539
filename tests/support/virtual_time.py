"""Clocks and a document store in virtual time: commits take as long as a test says, by clocks that disagree."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from shared.errors import PreconditionFailed, StoreUnavailable
from shared.stores.document_fields import apply_write
from shared.stores.documents import CommitResult, Delete, Document, Write, WriteResult

SECOND = 1_000_000_000


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, now: int = 1_800_000_000 * SECOND) -> None:
        self.now = now

    def time_ns(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


class SkewedClock:
    """Goes with another clock, some way ahead of it."""

    def __init__(self, clock: ManualClock, ahead: int) -> None:
        self._clock = clock
        self._ahead = ahead

    def time_ns(self) -> int:
        return self._clock.time_ns() + self._ahead


class VirtualDocuments:
    """A document store in memory on a manual clock, with Firestore's field semantics.

    ``before`` and ``after`` are called around each commit and may move the clock or act as another client.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._last = 0
        self.documents: dict[str, tuple[dict[str, Any], int]] = {}
        self.commits: list[int] = []
        self.written = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.down = False

    def step_back(self) -> None:
        """Let the times of commits step back with the clock."""
        self._last = 0

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        self.before()
        if self.down:
            raise StoreUnavailable("The store is down.")
        time = self._last = max(self._clock.time_ns(), self._last + 1)
        staged: dict[str, tuple[dict[str, Any], int] | None] = {}
        results = []
        for write in writes:
            held = staged[write.path] if write.path in staged else copy.deepcopy(self.documents.get(write.path))
            fields, updated_at = held or (None, None)
            staged[write.path] = None
            if write.exists not in (None, fields is not None) or write.updated_at not in (None, updated_at):
                raise PreconditionFailed(write.path)
            increments: dict[str, int] = {}
            if isinstance(write, Write):
                fields = fields or {}
                increments = apply_write(write, fields)
                staged[write.path] = (fields, time)
            results.append(WriteResult(increments, time))
        for path, document in staged.items():
            if document is None:
                self.documents.pop(path, None)
            else:
                self.documents[path] = document
        self.commits.append(time)
        self.written = len(writes)
        self.after()
        return CommitResult(tuple(results), time)

    def get(self, path: str) -> Document | None:
        if self.down:
            raise StoreUnavailable("The store is down.")
        if path not in self.documents:
            return None
        fields, updated_at = self.documents[path]
        return Document(path, copy.deepcopy(fields), updated_at)

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        ids = sorted(path.rpartition("/")[2] for path in self.documents if path.rpartition("/")[0] == collection)
        for identifier in [each for each in ids if each > after][:limit]:
            document = self.get(f"{collection}/{identifier}")
            if document is not None:
                yield document
