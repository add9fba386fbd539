"""The document store on one SQLite file, for a machine without a cloud account."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from shared.clock import Clock, SystemClock
from shared.errors import PreconditionFailed, StoreUnavailable
from shared.stores.document_fields import apply_write, check_collection, check_value, split_path
from shared.stores.documents import CommitResult, Delete, Document, Write, WriteResult
from shared.stores.sqlite import Database

MAX_DOCUMENT_BYTES = 1024 * 1024

_APPLICATION_ID = 0x57474431  # "WGD1"
_SCHEMA = """
CREATE TABLE documents (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    fields BLOB NOT NULL,        -- MessagePack
    updated_at INTEGER NOT NULL, -- nanoseconds since the Unix epoch
    expires_at REAL,             -- seconds since the Unix epoch
    PRIMARY KEY (collection, id)
) WITHOUT ROWID
"""
_SELECT = "SELECT fields, updated_at FROM documents WHERE collection = ? AND id = ?"
_UPSERT = """
INSERT INTO documents (collection, id, fields, updated_at, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (collection, id) DO UPDATE
SET fields = excluded.fields, updated_at = excluded.updated_at, expires_at = excluded.expires_at
"""
_DELETE = "DELETE FROM documents WHERE collection = ? AND id = ?"
_PAGE = """
SELECT id, fields, updated_at FROM documents WHERE collection = ? AND id > ? ORDER BY id LIMIT ?
"""
_PAGE_DOCUMENTS = 100
_EXPIRED = "SELECT collection, id FROM documents WHERE expires_at <= ? LIMIT ?"
_SWEEP = "DELETE FROM documents WHERE collection = ? AND id = ? AND expires_at <= ?"
_SWEEP_DOCUMENTS = 500

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class SqliteDocuments:
    """``DocumentStore`` on a SQLite file that any number of processes and threads may share.

    ``updated_at`` rises with every commit by the machine's clock, which is read while the file is held.
    Should the clock be set back, it still rises for each document, and for each process's commits.

    A document that would take more than 1 MiB, or a value that Firestore would refuse, is a ValueError.
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 2.0, clock: Clock | None = None) -> None:
        """Opens nothing yet.

        Args:
            path: The file.
            timeout_seconds: How long one call may wait for others before ``StoreUnavailable``.
            clock: Tells the commits' times.
        """
        self._clock = clock or SystemClock()
        self._database = Database(
            path,
            kind="documents",
            application_id=_APPLICATION_ID,
            schema=_SCHEMA,
            timeout_seconds=timeout_seconds,
        )
        self._last_commit = 0

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        """See ``DocumentStore``."""
        for write in writes:
            if isinstance(write, Write) and write.fields:
                check_value(write.fields)
        return self._database.transaction(lambda connection: self._commit(connection, writes))

    def _commit(self, connection: sqlite3.Connection, writes: Sequence[Write | Delete]) -> CommitResult:
        held: dict[tuple[str, str], _Held] = {}
        commit_time = max(self._clock.time_ns(), self._last_commit + 1)
        for write in writes:
            place = split_path(write.path)
            if place not in held:
                held[place] = state = _hold(connection, place)
                commit_time = max(commit_time, state.updated_at + 1)
        results = [_apply(write, held[split_path(write.path)], commit_time) for write in writes]
        for place, state in held.items():
            _keep(connection, place, state)
        self._last_commit = commit_time
        return CommitResult(tuple(results), commit_time)

    def get(self, path: str) -> Document | None:
        """See ``DocumentStore``."""
        place = split_path(path)
        row = self._database.read(lambda connection: connection.execute(_SELECT, place).fetchone())
        return None if row is None else Document(path, _fields(row[0]), row[1])

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        """See ``DocumentStore``. Reads a page at a time, so documents that change meanwhile may show either state."""
        check_collection(collection)
        return self._pages(collection, after, limit)

    def _pages(self, collection: str, after: str, limit: int) -> Iterator[Document]:
        while limit > 0:
            size = min(limit, _PAGE_DOCUMENTS)
            rows = self._rows(_PAGE, (collection, after, size))
            for identifier, fields, updated_at in rows:
                yield Document(f"{collection}/{identifier}", _fields(fields), updated_at)
            if len(rows) < size:
                return
            after = rows[-1][0]
            limit -= size

    def _rows(self, query: str, arguments: tuple[Any, ...]) -> Sequence[Any]:
        return self._database.read(lambda connection: connection.execute(query, arguments).fetchall())

    def sweep(self, now: datetime) -> int:
        """Delete documents whose ``expires_at`` has passed, as Firestore's TTL does by itself.

        Returns:
            How many were deleted.
        """
        deleted = 0
        bound = now.timestamp()
        while places := self._rows(_EXPIRED, (bound, _SWEEP_DOCUMENTS)):
            deleted += self._delete_expired([(*place, bound) for place in places])
        return deleted

    def _delete_expired(self, rows: Sequence[tuple[str, str, float]]) -> int:
        return self._database.transaction(lambda connection: connection.executemany(_SWEEP, rows).rowcount)

    def close(self) -> None:
        """Close this process's connections."""
        self._database.close()


class _Held(Struct):
    """A document inside a transaction; ``fields`` is None while it does not exist."""

    fields: dict[str, Any] | None
    updated_at: int


def _hold(connection: sqlite3.Connection, place: tuple[str, str]) -> _Held:
    row = connection.execute(_SELECT, place).fetchone()
    return _Held(None, 0) if row is None else _Held(_fields(row[0]), row[1])


def _apply(write: Write | Delete, state: _Held, commit_time: int) -> WriteResult:
    if write.exists is not None and write.exists != (state.fields is not None):
        raise PreconditionFailed(f"Document {write.path} {'exists' if state.fields is not None else 'does not exist'}.")
    if write.updated_at is not None and (state.fields is None or write.updated_at != state.updated_at):
        raise PreconditionFailed(f"Document {write.path} has changed.")
    increments: dict[str, int] = {}
    if isinstance(write, Delete):
        state.fields = None
    else:
        state.fields = {} if state.fields is None else state.fields
        increments = apply_write(write, state.fields)
    state.updated_at = commit_time
    return WriteResult(increments, commit_time)


def _keep(connection: sqlite3.Connection, place: tuple[str, str], state: _Held) -> None:
    if state.fields is None:
        connection.execute(_DELETE, place)
        return
    data = _encode(state.fields)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"Document {'/'.join(place)} would take more than {MAX_DOCUMENT_BYTES} bytes.")
    expires_at = state.fields.get("expires_at")
    expiry = expires_at.timestamp() if isinstance(expires_at, datetime) else None
    connection.execute(_UPSERT, (*place, data, state.updated_at, expiry))


def _fields(data: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = _decode(data)
    except msgspec.DecodeError as error:
        raise StoreUnavailable("A document is damaged: it cannot be decoded.") from error
    return fields
