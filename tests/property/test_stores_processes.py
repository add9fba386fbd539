"""The embedded stores under many processes, and under processes that are killed in the middle of a call."""

from __future__ import annotations

import threading
from pathlib import Path

from shared.stores.documents import Write
from shared.stores.events import Event
from shared.stores.file_secrets import FileSecrets
from shared.stores.folder_objects import FolderObjects
from shared.stores.spool import SpoolBus
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support import store_workers
from tests.support.sink import Received, sink
from tests.support.stepped_deliverer import SteppedDeliverer
from tests.support.stores import in_processes, killed, wait_until

ROUNDS = 3


def lines(file: Path) -> list[str]:
    """What a killed process noted; its last line may be cut short."""
    return file.read_text().split("\n")[:-1] if file.exists() else []


def wait_for_more(file: Path) -> None:
    """Let the process work for a moment; it never pauses, so it is killed in the middle of something."""
    before = len(lines(file))
    wait_until(lambda: len(lines(file)) >= before + 5)


# --- many at once -------------------------------------------------------------------------------


def test_four_processes_lose_no_increment(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    in_processes(4, "count", path, 200)
    store = SqliteDocuments(path)
    results = store.commit([Write(f"n/{name}", increments={"n": 0}) for name in ("shared", 0, 1, 2, 3)]).results
    assert [result.increments["n"] for result in results] == [800, 200, 200, 200, 200]


def test_processes_may_make_the_file_at_the_same_time(tmp_path: Path) -> None:
    in_processes(4, "open_and_count", tmp_path / "new" / "documents.db")
    document = SqliteDocuments(tmp_path / "new" / "documents.db").get("n/shared")
    assert document is not None
    assert document.fields == {"n": 4}


def test_processes_that_add_secrets_get_numbers_of_their_own(tmp_path: Path) -> None:
    in_processes(3, "add_secrets", tmp_path / "secrets", 6)
    store = FileSecrets(tmp_path / "secrets")
    assert [version.number for version in store.versions("s")] == list(range(18, 0, -1))
    assert {store.access("s", number).reveal() for number in range(1, 19)} == {
        store_workers.value(index * 1000 + number) for index in range(3) for number in range(6)
    }


def test_of_processes_that_create_an_object_one_wins_whole(tmp_path: Path) -> None:
    in_processes(3, "create_objects", tmp_path / "objects", 100)
    store = FolderObjects(tmp_path / "objects")
    names = list(store.list(""))
    assert len(names) == 100
    assert all(store_workers.is_whole(store.read(name) or b"") for name in names)


# --- killed -------------------------------------------------------------------------------------


def test_acknowledged_events_survive_the_death_of_publisher_and_deliverer(tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    notes = [tmp_path / f"publisher-{round_}" for round_ in range(ROUNDS)]
    with sink() as archive:
        for note in notes:
            with killed("publish_for_ever", spool, note):
                wait_for_more(note)
            seen = len(archive.received)
            with killed("deliver_for_ever", spool, archive.url):
                wait_until(lambda seen=seen: len(archive.received) > seen + 2)
        with SteppedDeliverer(spool, {"archive": archive.url}) as deliverer:
            while deliverer.pending():
                deliverer.deliver_once()
            assert deliverer.dead_letters() == []
        published = {identifier for note in notes for identifier in lines(note)}
        assert published <= set(archive.ids())


def test_what_was_on_its_way_when_the_deliverer_died_is_delivered_again(tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    bus = SpoolBus(spool)
    for number in range(6):
        bus.publish(Event(f"e/{number}", "//test", "test", "2026-11-23T00:00:00Z", b"{}"))
    on_its_way, dead = threading.Event(), threading.Event()

    def hold(received: Received) -> int:
        on_its_way.set()
        dead.wait(20)
        return -1

    with sink() as archive, sink() as after:
        archive.answer = hold
        with killed("deliver_for_ever", spool, archive.url):
            on_its_way.wait(20)
        dead.set()
        with SteppedDeliverer(spool, {"archive": after.url}) as deliverer:
            while deliverer.pending():
                deliverer.deliver_once()
        assert set(after.ids()) == {f"e/{number}" for number in range(6)}


def test_added_secrets_survive_the_death_of_their_writer(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    numbers: list[int] = []
    for _ in range(ROUNDS):
        with killed("change_secrets_for_ever", tmp_path / "secrets", notes):
            wait_for_more(notes)
        store = FileSecrets(tmp_path / "secrets")
        versions = store.versions("s")
        numbers = [int(line) for line in lines(notes)]
        assert [version.number for version in versions] == list(range(versions[0].number, 0, -1))
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= {version.number for version in versions}
        for version in versions:
            if version.state == "enabled":
                assert store_workers.is_whole(store.access("s", version.number).reveal())
    store.add("s", b"a later change finishes what was cut short")
    left = [path for path in (tmp_path / "secrets" / "s").iterdir() if path.suffix == ".destroyed" or not path.suffix]
    assert left
    assert all(path.suffix == ".destroyed" and path.stat().st_size == 0 for path in left)


def test_objects_are_whole_or_absent_while_their_writer_works_and_when_it_dies(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path / "objects")
    seen: set[str] = set()

    def see_new_ones() -> set[str]:
        new = set(store.list("")) - seen
        assert all(store_workers.is_whole(store.read(name) or b"") for name in new)
        seen.update(new)
        return new

    notes = tmp_path / "notes"
    for _ in range(ROUNDS):
        with killed("create_objects_for_ever", tmp_path / "objects", notes):
            enough = len(seen) + 50
            wait_until(lambda enough=enough: bool(see_new_ones()) and len(seen) >= enough)
        see_new_ones()
        assert set(lines(notes)) <= seen
