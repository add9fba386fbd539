"""The event bus on one SQLite file: a publisher's side and the queue that the local stack empties.

events        what was published, kept until every sink has it
fanned_out    the newest event that has its deliveries
deliveries    one row for each event and sink that does not have it yet
dead_letters  deliveries that were given up, with the reason
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from shared.stores.events import DeadLetter, Event
from shared.stores.sqlite import Database

_APPLICATION_ID = 0x57475331  # "WGS1"
_SCHEMA = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, or an event could fall behind fanned_out
    id TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, time TEXT NOT NULL, subject TEXT, data BLOB NOT NULL
);
CREATE TABLE fanned_out (seq INTEGER NOT NULL);
INSERT INTO fanned_out (seq) VALUES (0);
CREATE TABLE deliveries (
    seq INTEGER NOT NULL, sink TEXT NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL,
    PRIMARY KEY (seq, sink)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (sink, due_at);
CREATE TABLE dead_letters (
    seq INTEGER NOT NULL, sink TEXT NOT NULL, attempts INTEGER NOT NULL, died_at INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (seq, sink)
) WITHOUT ROWID
"""
_PUBLISH = "INSERT INTO events (id, source, type, time, data, subject) VALUES (?, ?, ?, ?, ?, ?)"
_FRESH = "SELECT EXISTS (SELECT 1 FROM events WHERE seq > (SELECT seq FROM fanned_out))"
_FAN_OUT = """
INSERT INTO deliveries (seq, sink, attempts, due_at)
SELECT seq, ?, 0, 0 FROM events WHERE seq > (SELECT seq FROM fanned_out)
"""
_MARK_FANNED_OUT = "UPDATE fanned_out SET seq = max(seq, (SELECT ifnull(max(seq), 0) FROM events))"
_DUE = """
SELECT seq, attempts, id, source, type, time, data, subject FROM deliveries JOIN events USING (seq)
WHERE sink = ? AND due_at <= ? ORDER BY due_at, seq LIMIT ?
"""
_RETRY = "UPDATE deliveries SET attempts = ?, due_at = ? WHERE seq = ? AND sink = ?"
_BURY = """
INSERT OR REPLACE INTO dead_letters (seq, sink, attempts, died_at, reason) VALUES (?, ?, ?, ?, ?)
"""
_DONE = "DELETE FROM deliveries WHERE seq = ? AND sink = ?"
_FORGET = """
DELETE FROM events WHERE seq = ?1
AND NOT EXISTS (SELECT 1 FROM deliveries WHERE seq = ?1) AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE seq = ?1)
"""
_PENDING = """
SELECT (SELECT count(*) FROM deliveries)
     + (SELECT count(*) FROM events WHERE seq > (SELECT seq FROM fanned_out))
"""
_DEAD = """
SELECT sink, attempts, died_at, reason, id, source, type, time, data, subject FROM dead_letters JOIN events USING (seq)
ORDER BY seq, sink LIMIT ?
"""
_REDRIVE = """
INSERT OR IGNORE INTO deliveries (seq, sink, attempts, due_at) SELECT seq, sink, 0, 0 FROM dead_letters
"""


class Delivery(Struct, frozen=True):
    """An event that one sink is to get."""

    seq: int
    attempts: int
    """How often it has been tried."""

    event: Event


class Retry(Struct, frozen=True):
    """A delivery that failed and is tried again."""

    seq: int
    attempts: int
    due_at: int
    """Nanoseconds since the Unix epoch."""


class Burial(Struct, frozen=True):
    """A delivery that failed for good."""

    seq: int
    attempts: int
    died_at: int
    """Nanoseconds since the Unix epoch."""

    reason: str


class SpoolBus:
    """``EventBus`` on a SQLite file. A published event survives the death of its publisher, but not a
    power cut in the moment after it; see ``Database``."""

    def __init__(self, path: Path, *, timeout_seconds: float = 2.0) -> None:
        """Opens nothing yet; ``timeout_seconds`` is how long ``publish`` may wait for others."""
        self._database = _spool(path, timeout_seconds)

    def publish(self, event: Event) -> None:
        """See ``EventBus``."""
        event.headers()  # what could not be delivered is refused here
        row = (event.id, event.source, event.type, event.time, event.data, event.subject)
        self._database.execute(_PUBLISH, row)

    def close(self) -> None:
        """Close this process's connections."""
        self._database.close()


class SpoolQueue:
    """The consumer's side of the file, and its ``DeadLetters``."""

    def __init__(self, path: Path, *, timeout_seconds: float = 10.0) -> None:
        """Opens nothing yet; ``timeout_seconds`` is how long one call may wait for others."""
        self._database = _spool(path, timeout_seconds)

    def fan_out(self, sinks: Sequence[str]) -> None:
        """Give every event that has none yet one delivery for each sink."""
        if self._database.read(lambda connection: connection.execute(_FRESH).fetchone()[0]):
            self._database.transaction(lambda connection: _fan_out(connection, sinks))

    def due(self, sink: str, now: int, limit: int) -> list[Delivery]:
        """The sink's deliveries that are due at ``now`` (nanoseconds since the Unix epoch), longest due first."""
        rows = self._database.read(lambda connection: connection.execute(_DUE, (sink, now, limit)).fetchall())
        return [Delivery(seq, attempts, Event(*event)) for seq, attempts, *event in rows]

    def settle(self, sink: str, *, delivered: Sequence[int], retries: Sequence[Retry], dead: Sequence[Burial]) -> None:
        """Write down, in one step, how deliveries to a sink went; an event that no sink waits for is deleted."""
        self._database.transaction(lambda connection: _settle(connection, sink, delivered, retries, dead))

    def pending(self) -> int:
        """Deliveries still to be made; an event that was just published counts as one."""
        return int(self._database.read(lambda connection: connection.execute(_PENDING).fetchone()[0]))

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """See ``DeadLetters``; oldest event first."""
        rows = self._database.read(lambda connection: connection.execute(_DEAD, (limit,)).fetchall())
        return [
            DeadLetter(sink, attempts, died_at, reason, Event(*event))
            for sink, attempts, died_at, reason, *event in rows
        ]

    def redrive(self) -> int:
        """See ``DeadLetters``; no attempt counts any more."""
        return self._database.transaction(_redrive)

    def close(self) -> None:
        """Close this process's connections."""
        self._database.close()


def _spool(path: Path, timeout_seconds: float) -> Database:
    return Database(
        path,
        kind="event spool",
        application_id=_APPLICATION_ID,
        schema=_SCHEMA,
        timeout_seconds=timeout_seconds,
    )


def _fan_out(connection: sqlite3.Connection, sinks: Sequence[str]) -> None:
    connection.executemany(_FAN_OUT, [(sink,) for sink in sinks])
    connection.execute(_MARK_FANNED_OUT)


def _settle(
    connection: sqlite3.Connection,
    sink: str,
    delivered: Sequence[int],
    retries: Sequence[Retry],
    dead: Sequence[Burial],
) -> None:
    connection.executemany(_RETRY, [(each.attempts, each.due_at, each.seq, sink) for each in retries])
    connection.executemany(_BURY, [(each.seq, sink, each.attempts, each.died_at, each.reason) for each in dead])
    connection.executemany(_DONE, [(seq, sink) for seq in (*delivered, *(each.seq for each in dead))])
    connection.executemany(_FORGET, [(seq,) for seq in delivered])


def _redrive(connection: sqlite3.Connection) -> int:
    connection.execute(_REDRIVE)
    return connection.execute("DELETE FROM dead_letters").rowcount
