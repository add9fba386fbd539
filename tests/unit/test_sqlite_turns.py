"""Work that waits for its turn on a SQLite file is done together, and none of it suffers from the others."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.stores.sqlite import Database

SCHEMA = "CREATE TABLE numbers (n INTEGER PRIMARY KEY)"


class Numbers:
    """A file of numbers, whose one turn a test can hold."""

    def __init__(self, path: Path, timeout_seconds: float = 10.0) -> None:
        self.path = path
        self.database = Database(path, kind="numbers", application_id=7, schema=SCHEMA, timeout_seconds=timeout_seconds)
        self.commits = 0

    def add(self, *numbers: int) -> int:
        def work(connection: sqlite3.Connection) -> int:
            for n in numbers:
                if n < 0:
                    raise ValueError(n)
                connection.execute("INSERT INTO numbers VALUES (?)", (n,))
            return len(numbers)

        return self.database.transaction(work)

    def all(self) -> set[int]:
        return {n for (n,) in self.database.read(lambda c: c.execute("SELECT n FROM numbers").fetchall())}

    @contextmanager
    def turn_taken(self):
        """While inside, whoever wants to write has to wait; the number of commits after that is counted."""
        taken, go_on = threading.Event(), threading.Event()

        def hold(connection: sqlite3.Connection) -> None:
            taken.set()
            assert go_on.wait(20)
            connection.set_trace_callback(self._count)

        with ThreadPoolExecutor(1) as one:
            holding = one.submit(self.database.transaction, hold)
            assert taken.wait(20)
            yield
            go_on.set()
            holding.result()

    def _count(self, statement: str) -> None:
        self.commits += statement == "COMMIT"


@pytest.fixture
def numbers(tmp_path: Path):
    file = Numbers(tmp_path / "numbers.db")
    yield file
    file.database.close()


def waiting(numbers: Numbers, threads: ThreadPoolExecutor, *works: tuple[int, ...]) -> list[Future[int]]:
    """Start each in a thread, and return when all of them wait."""
    futures = [threads.submit(numbers.add, *work) for work in works]
    queue = numbers.database._own_lanes().waiting
    deadline = threading.Event()
    while len(queue) < len(works):
        assert not deadline.wait(0.005)
    return futures


def test_what_waits_is_committed_together(numbers):
    with ThreadPoolExecutor(20) as threads:
        with numbers.turn_taken():
            futures = waiting(numbers, threads, *((n,) for n in range(20)))
        assert [future.result() for future in futures] == [1] * 20
    assert numbers.all() == set(range(20))
    assert numbers.commits <= 2, "the holder's own, and one for all that waited"


def test_work_that_fails_harms_no_other(numbers):
    with ThreadPoolExecutor(3) as threads:
        with numbers.turn_taken():
            first, broken, last = waiting(numbers, threads, (1, 2), (3, -4), (5,))
        assert (first.result(), last.result()) == (2, 1)
        with pytest.raises(ValueError, match="-4"):
            broken.result()
    assert numbers.all() == {1, 2, 5}


def test_a_single_statement_takes_effect_with_what_waits_beside_it(numbers):
    with ThreadPoolExecutor(2) as threads:
        with numbers.turn_taken():
            one = threads.submit(numbers.database.execute, "INSERT INTO numbers VALUES (?)", (1,))
            (two,) = waiting(numbers, threads, (2,))
        assert (one.result(), two.result()) == (None, 1)
    numbers.database.execute("INSERT INTO numbers VALUES (?)", (3,))
    assert numbers.all() == {1, 2, 3}


def test_who_gave_up_waiting_is_not_done_later(tmp_path):
    numbers = Numbers(tmp_path / "numbers.db", timeout_seconds=0.2)
    with numbers.turn_taken(), pytest.raises(StoreUnavailable):
        numbers.add(1)
    assert numbers.add(2) == 1
    assert numbers.all() == {2}
    numbers.database.close()


def test_what_sqlite_itself_refuses_harms_no_other(numbers):
    numbers.add(0)
    with ThreadPoolExecutor(2) as threads:
        with numbers.turn_taken():
            new, known = waiting(numbers, threads, (1,), (0,))
        assert new.result() == 1
        with pytest.raises(StoreUnavailable):
            known.result()
    assert numbers.all() == {0, 1}


def test_a_file_out_of_reach_is_told_to_everybody(tmp_path):
    numbers = Numbers(tmp_path / "numbers.db", timeout_seconds=0.3)
    numbers.add(0)
    other = sqlite3.connect(numbers.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(numbers.add, n) for n in range(1, 7)]:
            with pytest.raises(StoreUnavailable):
                future.result(timeout=10)
    other.execute("ROLLBACK")
    other.close()
    assert numbers.add(7) == 1
    assert numbers.all() == {0, 7}
    numbers.database.close()
