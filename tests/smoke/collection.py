"""A corner of a database of our own: every path gets a prefix, every write is counted, and all of it is deleted."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from shared.stores.documents import CommitResult, Delete, Document, DocumentStore, Write

_PAGE = 200


class Corner:
    """A document store under collections that nobody else uses. Thread-safe."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self.prefix = f"wardgate-smoke-{uuid.uuid4().hex[:12]}-"
        self.writes = 0
        self._collections: set[str] = set()
        self._lock = threading.Lock()

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        with self._lock:
            self.writes += len(writes)
            self._collections.update(write.path.partition("/")[0] for write in writes)
        return self._documents.commit([replace(write, path=self.prefix + write.path) for write in writes])

    def get(self, path: str) -> Document | None:
        found = self._documents.get(self.prefix + path)
        return found and replace(found, path=path)

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        return self._documents.list(self.prefix + collection, after=after, limit=limit)

    def clean(self) -> int:
        """Delete every document that was written here; how many there were."""
        count = 0
        for collection in sorted(self._collections):
            while found := list(self.list(collection, limit=_PAGE)):
                self._documents.commit([Delete(f"{self.prefix}{collection}/{each.id}") for each in found])
                count += len(found)
        return count
