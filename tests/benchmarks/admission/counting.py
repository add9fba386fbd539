"""Counts what leaves for Firestore: from Wardgate at its port, from the official client at its channel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.cloud import firestore

from shared.stores.documents import CommitResult, Delete, Document, DocumentStore, Write


@dataclass(frozen=True, slots=True)
class Spent:
    """So many calls, documents read and documents written."""

    rpc: int = 0
    reads: int = 0
    writes: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.rpc + other.rpc, self.reads + other.reads, self.writes + other.writes)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.rpc - other.rpc, self.reads - other.reads, self.writes - other.writes)


class Till:
    """Sums up what is spent. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.spent = Spent()

    def add(self, spent: Spent) -> None:
        with self._lock:
            self.spent += spent


class Counted:
    """A document store that counts what is asked of it, and remembers the last commit."""

    def __init__(self, documents: DocumentStore, till: Till) -> None:
        self._documents = documents
        self._till = till
        self.last: Sequence[Write | Delete] = ()

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        self._till.add(Spent(rpc=1, writes=len(writes)))
        self.last = writes
        return self._documents.commit(writes)

    def get(self, path: str) -> Document | None:
        self._till.add(Spent(rpc=1, reads=1))
        return self._documents.get(path)

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        return self._documents.list(collection, after=after, limit=limit)


class CountedClient(firestore.Client):
    """The official client, on the emulator, with its calls counted."""

    def __init__(self, project: str, till: Till) -> None:
        super().__init__(project=project)
        self._till = till

    def _emulator_channel(self, transport: Any) -> grpc.Channel:
        return grpc.intercept_channel(super()._emulator_channel(transport), _Interceptor(self._till))


class _Interceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    def __init__(self, till: Till) -> None:
        self._till = till

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self._till.add(Spent(rpc=1, writes=len(request.writes) if details.method.endswith("/Commit") else 0))
        return continuation(details, request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        reads = len(request.documents) if details.method.endswith("/BatchGetDocuments") else 0
        self._till.add(Spent(rpc=1, reads=reads))
        return continuation(details, request)
