"""A document store in this process's memory, for the limits that hold while the real one is down."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from shared.clock import Clock, utc
from shared.errors import PreconditionFailed
from shared.stores.document_fields import apply_write
from shared.stores.documents import CommitResult, Delete, Document, Write, WriteResult

_SWEEP_AT = 1000


class MemoryDocuments:
    """``DocumentStore`` in memory. Thread-safe. Takes no preconditions; documents that have expired are dropped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._documents: dict[str, tuple[dict[str, Any], int]] = {}
        self._sweep_at = _SWEEP_AT
        self._last = 0
        self._lock = threading.Lock()

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        """See ``DocumentStore``."""
        with self._lock:
            now = self._last = max(self._clock.time_ns(), self._last + 1)
            results = []
            for write in writes:
                if write.exists is not None or write.updated_at is not None:
                    raise PreconditionFailed("Documents in memory take no preconditions.")
                increments: dict[str, int] = {}
                if isinstance(write, Delete):
                    self._documents.pop(write.path, None)
                else:
                    fields, _ = self._documents.get(write.path, ({}, 0))
                    increments = apply_write(write, fields)
                    self._documents[write.path] = (fields, now)
                results.append(WriteResult(increments, now))
            self._sweep()
        return CommitResult(tuple(results), now)

    def get(self, path: str) -> Document | None:
        """See ``DocumentStore``."""
        with self._lock:
            held = self._documents.get(path)
            return held and Document(path, copy.deepcopy(held[0]), held[1])

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        """See ``DocumentStore``."""
        with self._lock:
            paths = sorted(path for path in self._documents if path.rpartition("/")[0] == collection)
        found = (self.get(path) for path in paths if path.rpartition("/")[2] > after)
        return iter([document for document in found if document is not None][:limit])

    def _sweep(self) -> None:
        """Drop what has expired whenever the documents have doubled."""
        if len(self._documents) < self._sweep_at:
            return
        now = utc(self._clock)
        self._documents = {path: held for path, held in self._documents.items() if not _expired(held[0], now)}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._documents))


def _expired(fields: dict[str, Any], now: datetime) -> bool:
    expires_at = fields.get("expires_at")
    return isinstance(expires_at, datetime) and expires_at <= now
