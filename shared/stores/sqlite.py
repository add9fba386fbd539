"""One SQLite file shared by many processes and threads, with its faults told as store errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from shared.errors import StoreUnavailable
from shared.stores.files import FILE_MODE, make_private_folder

T = TypeVar("T")

_OPENING_PAUSE_SECONDS = 0.01
_TOGETHER = 64
"""Most pieces of work that share one transaction."""

_inherited: list[_Lanes] = []
"""Connections of a parent process, kept from being closed."""


class Database:
    """A SQLite file in WAL mode.

    Each process has one connection for transactions and one for reading, opened at first use and never
    carried over a fork; threads take turns on them. That measured better than a connection per thread:
    threads of one process then queue on a lock instead of polling for SQLite's, which with 32 threads
    doubled the throughput and cut the 99th percentile of a commit to a quarter. Readers never wait for
    a transaction.

    Work that waits for its turn is done together with that of whoever has it, in one transaction (group
    commit): under load a commit, and the interpreter's lock that is let go and taken around each statement,
    cost more than the work. Where one piece fails, each is done by itself.

    ``synchronous=NORMAL``: what is committed survives the death of any process; a power cut may take the
    last moments with it, but never leaves the file damaged.
    """

    def __init__(self, path: Path, *, kind: str, application_id: int, schema: str, timeout_seconds: float) -> None:
        """Does not touch the file yet.

        Args:
            path: The file; it and its folder are made private to their owner where they do not exist.
            kind: What it holds, in words, for messages.
            application_id: Written into the file, so that one kind is never taken for another.
            schema: Statements that make its tables.
            timeout_seconds: How long to wait for other threads and processes.
        """
        self._path = path
        self._kind = kind
        self._application_id = application_id
        self._schema = schema
        self._timeout = timeout_seconds
        self._lanes = _Lanes()

    def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` as one transaction that alone may write: all of it takes effect, or nothing.

        It may run in another thread, and again where it was undone with others that failed; so it must
        change nothing but the file.

        Raises:
            StoreUnavailable: The file cannot be used, or others kept it for too long.
        """
        return self._in_turn(_Job(work))

    def execute(self, statement: str, row: tuple[Any, ...]) -> None:
        """Run one statement, which is a transaction by itself. Raises as ``transaction`` does."""
        self._in_turn(_Job(lambda connection: connection.execute(statement, row), one_statement=True))

    def _in_turn(self, job: _Job[T]) -> T:
        lanes = self._own_lanes()
        lanes.waiting.append(job)
        try:
            return self._run(lanes.writer, lambda connection: _done(connection, job, lanes.waiting))
        except StoreUnavailable:
            with suppress(ValueError):  # nobody has taken it up, and now nobody will
                lanes.waiting.remove(job)
            raise

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work``, which only reads, on the last committed state.

        Raises:
            StoreUnavailable: As for ``transaction``.
        """
        return self._run(self._own_lanes().reader, work)

    def close(self) -> None:
        """Close this process's connections; the next use opens them again."""
        lanes = self._own_lanes()
        for lane in (lanes.writer, lanes.reader):
            with lane.turn:
                lane.close()

    def _own_lanes(self) -> _Lanes:
        """This process's connections.

        Those of a parent are kept, unused, rather than closed: to close one here would interfere with
        the parent's (https://www.sqlite.org/howtocorrupt.html, section 2.6).
        """
        if self._lanes.process != os.getpid():
            _inherited.append(self._lanes)
            self._lanes = _Lanes()
        return self._lanes

    def _run(self, lane: _Lane, work: Callable[[sqlite3.Connection], T]) -> T:
        if not lane.turn.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"The {self._kind} are busy: no turn within {self._timeout:g} s.")
        try:
            if lane.connection is None:
                lane.connection = self._open()
            return work(lane.connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The {self._kind} in {self._path} cannot be used: {error}.") from error
        finally:
            lane.turn.release()

    def _open(self) -> sqlite3.Connection:
        try:
            make_private_folder(self._path.parent)
            # Never opened where it exists: closing a descriptor would drop every lock that this process has on it.
            if not self._path.exists():
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        except FileExistsError:
            pass  # another process made it just now
        except OSError as error:
            reason = f"The {self._kind} in {self._path} cannot be used: {error.strerror}."
            raise StoreUnavailable(reason) from error
        connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _use_wal(connection, time.monotonic() + self._timeout)
        connection.execute("PRAGMA synchronous=NORMAL")
        if self._identify(connection) == 0:
            _transact(connection, self._make_tables)
        if (found := self._identify(connection)) != self._application_id:
            raise StoreUnavailable(f"{self._path} does not hold the {self._kind}: its application id is {found}.")

    def _identify(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            for statement in self._schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={self._application_id}")


class _Lane:
    """A connection and whose turn it is on it."""

    __slots__ = ("connection", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __del__(self) -> None:
        self.close()  # from Python 3.13 on, a connection that is merely dropped warns


class _Lanes:
    """One process's two connections, and the work that waits for its turn on the writing one."""

    __slots__ = ("process", "reader", "waiting", "writer")

    def __init__(self) -> None:
        self.process = os.getpid()
        self.writer = _Lane()
        self.reader = _Lane()
        self.waiting: deque[_Job[Any]] = deque()


class _Job(Generic[T]):
    """A piece of work, and what came of it."""

    __slots__ = ("done", "error", "one_statement", "result", "work")

    result: T

    def __init__(self, work: Callable[[sqlite3.Connection], T], *, one_statement: bool = False) -> None:
        self.work = work
        self.one_statement = one_statement
        self.done = False
        self.error: Exception | None = None

    def ended(self, error: Exception | None = None) -> None:
        """Say what came of it; ``result`` is there where nothing went wrong."""
        self.error = error
        self.done = True


def _done(connection: sqlite3.Connection, mine: _Job[T], waiting: deque[_Job[Any]]) -> T:
    """The result of a thread's work now that it has its turn: an earlier one may have done it already."""
    if not mine.done:
        jobs: list[_Job[Any]] = [mine]
        while waiting and len(jobs) < _TOGETHER:
            if not ((job := waiting.popleft()) is mine or job.done):
                jobs.append(job)
        _do_together(connection, jobs)
    if mine.error is not None:
        raise mine.error
    return mine.result


def _do_together(connection: sqlite3.Connection, jobs: list[_Job[Any]]) -> None:
    def work(connection: sqlite3.Connection) -> None:
        for job in jobs:
            job.result = job.work(connection)

    try:
        if len(jobs) == 1 and jobs[0].one_statement:
            work(connection)
        else:
            _transact(connection, work)
    except sqlite3.OperationalError as error:  # the file is out of reach, and would be for each of them
        for job in jobs:
            job.ended(error)
    except Exception as error:  # one of them refused, which is its own thread's to hear of
        if len(jobs) == 1:
            jobs[0].ended(error)
        else:
            for job in jobs:
                _do_together(connection, [job])
    else:
        for job in jobs:
            job.ended()


def _transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _use_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """Turn the write-ahead log on. While several processes open a new file at once, SQLite refuses this
    without waiting, so the waiting is done here."""
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_OPENING_PAUSE_SECONDS)
        else:
            if mode != "wal":
                raise sqlite3.OperationalError(f"its journal mode is '{mode}' and cannot be changed to 'wal'")
            return
