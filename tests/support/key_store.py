"""What API keys need, with counters: a SQLite document store and a pepper in several versions."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import PreconditionFailed, SecretNotFound
from shared.stores.documents import CommitResult, Delete, Document, Write
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments


class CountedDocuments:
    """The real SQLite store, counting the calls to it."""

    def __init__(self, path: Path) -> None:
        self.inner = SqliteDocuments(path)
        self.calls: Counter[str] = Counter()

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        self.calls["commit"] += 1
        return self.inner.commit(writes)

    def get(self, path: str) -> Document | None:
        self.calls["get"] += 1
        return self.inner.get(path)

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        self.calls["list"] += 1
        return self.inner.list(collection, after=after, limit=limit)

    def close(self) -> None:
        self.inner.close()


@dataclass(frozen=True, slots=True)
class PepperVersion:
    number: int
    secret: Secret


class VersionedPepper:
    """A pepper in memory, counting reads of its versions."""

    def __init__(self, versions: int = 1) -> None:
        self.values = {number: Secret(secrets.token_bytes(32)) for number in range(1, versions + 1)}
        self.disabled: set[int] = set()
        self.calls: Counter[int] = Counter()

    def add(self) -> int:
        """Make the next version, which is the current one from now on."""
        number = max(self.values, default=0) + 1
        self.values[number] = Secret(secrets.token_bytes(32))
        return number

    def current(self, name: str) -> PepperVersion:
        if not self.values:
            raise SecretNotFound(name)
        number = max(self.values)
        return PepperVersion(number, self.values[number])

    def version(self, name: str, number: int) -> Secret:
        self.calls[number] += 1
        if number not in self.values:
            raise SecretNotFound(name)
        if number in self.disabled:
            raise PreconditionFailed(name)
        return self.values[number]
