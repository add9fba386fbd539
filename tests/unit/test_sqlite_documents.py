"""The document store's file: who may read it, who shares it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.stores.documents import Write
from shared.stores.spool import SpoolQueue
from shared.stores.sqlite_documents import SqliteDocuments

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    SqliteDocuments(tmp_path / "new" / "documents.db")
    assert list(tmp_path.iterdir()) == []


def test_file_and_folder_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / "home" / "state" / "documents.db"
        store = SqliteDocuments(path)
        store.commit([Write("a/a")])
        store.get("a/a")
    finally:
        os.umask(old)
    assert mode(tmp_path / "home") == mode(path.parent) == 0o700
    assert {each.name: oct(mode(each)) for each in path.parent.iterdir()} == {
        "documents.db": "0o600",
        "documents.db-shm": "0o600",
        "documents.db-wal": "0o600",
    }


def test_another_store_sees_what_was_committed_also_after_closing(tmp_path: Path) -> None:
    one, other = (SqliteDocuments(tmp_path / "documents.db") for _ in range(2))
    one.commit([Write("a/a", fields={"n": 1})])
    other.commit([Write("a/a", increments={"n": 1})])
    one.close()
    document = one.get("a/a")
    assert document is not None
    assert document.fields == {"n": 2}


def damage(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 100)


def occupy(path: Path) -> None:
    path.mkdir()


def fill_with_foreign_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def fill_with_a_spool(path: Path) -> None:
    SpoolQueue(path).pending()


@pytest.mark.parametrize("spoil", [damage, occupy, fill_with_foreign_tables, fill_with_a_spool])
def test_an_unusable_file_is_told_in_one_line(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "documents.db"
    spoil(path)
    store = SqliteDocuments(path, timeout_seconds=0.2)
    for use in (lambda: store.get("a/a"), lambda: store.commit([Write("a/a")]), lambda: list(store.list("a"))):
        with pytest.raises(StoreUnavailable) as caught:
            use()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        SqliteDocuments(tmp_path / "file" / "documents.db").get("a/a")


def test_a_document_that_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    store = SqliteDocuments(tmp_path / "documents.db")
    store.commit([Write("a/a", fields={"n": 1})])
    with sqlite3.connect(tmp_path / "documents.db") as connection:
        connection.execute("UPDATE documents SET fields = x'c1'")
    connection.close()
    for use in (lambda: store.get("a/a"), lambda: store.commit([Write("a/a", increments={"n": 1})])):
        with pytest.raises(StoreUnavailable, match="damaged"):
            use()


def test_a_file_that_somebody_holds_is_unavailable_for_writing_only(tmp_path: Path) -> None:
    store = SqliteDocuments(tmp_path / "documents.db", timeout_seconds=0.2)
    store.commit([Write("a/a", fields={"n": 1})])
    holder = sqlite3.connect(tmp_path / "documents.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        store.commit([Write("a/a", increments={"n": 1})])
    assert store.get("a/a") is not None
    holder.execute("ROLLBACK")
    holder.close()
    assert store.commit([Write("a/a", increments={"n": 1})]).results[0].increments == {"n": 2}


class Stopped:
    """A clock that was set back and stands."""

    def time_ns(self) -> int:
        return 1


def test_update_times_rise_also_while_the_clock_is_set_back(tmp_path: Path) -> None:
    before = SqliteDocuments(tmp_path / "documents.db").commit([Write("a/a")]).commit_time
    store = SqliteDocuments(tmp_path / "documents.db", clock=Stopped())
    first = store.commit([Write("a/other"), Write("a/a", updated_at=before)])
    second = store.commit([Write("a/third")])
    assert before < first.commit_time < second.commit_time


def test_threads_lose_nothing(tmp_path: Path) -> None:
    store = SqliteDocuments(tmp_path / "documents.db", timeout_seconds=20)
    barrier = threading.Barrier(16)

    def work(_: int) -> list[int]:
        barrier.wait()
        return [store.commit([Write("a/a", increments={"n": 1})]).results[0].increments["n"] for _ in range(25)]

    with ThreadPoolExecutor(16) as pool:
        seen = sorted(value for values in pool.map(work, range(16)) for value in values)
    assert seen == list(range(1, 401))


FORKING = """
import os, sys
from pathlib import Path
from shared.stores.documents import Write
from shared.stores.sqlite_documents import SqliteDocuments

def count(amount):
    return store.commit([Write("a/a", increments={"n": amount})]).results[0].increments["n"]

def opened():
    if sys.platform != "linux":
        return 0
    links = (os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return sum(link == sys.argv[1] for link in links)

store = SqliteDocuments(Path(sys.argv[1]), timeout_seconds=20)
count(1)
parents = opened()
children = []
for _ in range(4):
    if (child := os.fork()) == 0:
        for _ in range(50):
            count(1)
        assert opened() > parents or not parents, "it uses its parent's connection"
        store.close()
        sys.exit()
    children.append(child)
    count(1)
assert {os.waitpid(child, 0)[1] for child in children} == {0}
assert count(0) == 205, count(0)
"""


def test_a_store_may_be_used_on_both_sides_of_a_fork(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORKING, tmp_path / "documents.db"], check=True)


def test_a_sweep_deletes_what_has_expired_and_nothing_else(tmp_path: Path) -> None:
    store = SqliteDocuments(tmp_path / "documents.db")
    for start in range(0, 1200, 100):
        store.commit(
            [
                Write(f"old/{number}", fields={"expires_at": NOW - timedelta(microseconds=number)})
                for number in range(start, start + 100)
            ]
        )
    store.commit(
        [
            Write("old/renewed", fields={"expires_at": NOW}),
            Write("old/later", fields={"expires_at": NOW + timedelta(microseconds=1)}),
            Write("old/never", fields={"n": 1}),
            Write("old/text", fields={"expires_at": "2000-01-01T00:00:00Z"}),
            Write("old/cleared", fields={"expires_at": NOW}),
        ]
    )
    store.commit([Write("old/renewed", fields={"expires_at": NOW + timedelta(hours=1)})])
    store.commit([Write("old/cleared", remove=["expires_at"])])
    assert store.sweep(NOW) == 1200
    assert store.sweep(NOW) == 0
    assert [document.id for document in store.list("old")] == ["cleared", "later", "never", "renewed", "text"]


def test_a_spool_is_told_from_documents(tmp_path: Path) -> None:
    SqliteDocuments(tmp_path / "x.db").commit([])
    with pytest.raises(StoreUnavailable, match="does not hold the event spool"):
        SpoolQueue(tmp_path / "x.db").pending()
