"""What processes do to a store while the tests watch or kill them.

python -m tests.support.store_workers FUNCTION ARGUMENT …
"""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path

from shared.stores.documents import Write
from shared.stores.events import Event
from shared.stores.file_secrets import FileSecrets
from shared.stores.folder_objects import FolderObjects
from shared.stores.spool import SpoolBus
from shared.stores.sqlite_documents import SqliteDocuments

VALUE_BYTES = 40_000
"""Large enough that a value is not written in one piece of a page."""


def value(number: int) -> bytes:
    """A value that shows whether it is whole."""
    return b"%d " % number + b"x" * VALUE_BYTES + b" end"


def is_whole(data: bytes) -> bool:
    return data == value(int(data.split(b" ", 1)[0]))


def count(path: Path, times: int, index: int) -> None:
    """Increment a shared counter and one of this process's own, in one commit."""
    store = SqliteDocuments(path, timeout_seconds=30)
    for _ in range(times):
        store.commit([Write("n/shared", increments={"n": 1}), Write(f"n/{index}", increments={"n": 1})])


def open_and_count(path: Path, index: int) -> None:
    """Open a file that may not exist yet, at the same time as others."""
    SqliteDocuments(path, timeout_seconds=30).commit([Write("n/shared", increments={"n": 1})])


def add_secrets(folder: Path, times: int, index: int) -> None:
    store = FileSecrets(folder)
    store.create("s")
    for number in range(times):
        store.add("s", value(index * 1000 + number))


def create_objects(folder: Path, times: int, index: int) -> None:
    """Race the others for every name."""
    store = FolderObjects(folder)
    for number in range(times):
        store.create(f"race/{number}", value(index))


def publish_for_ever(path: Path, acknowledged: Path) -> None:
    """Publish, and note each event after it was acknowledged."""
    bus = SpoolBus(path, timeout_seconds=30)
    with acknowledged.open("a") as notes:
        for number in itertools.count():
            identifier = f"{acknowledged.name}/{number}"
            bus.publish(Event(identifier, "//test", "test", "2026-11-23T00:00:00Z", b"{}"))
            notes.write(f"{identifier}\n")
            notes.flush()


def deliver_for_ever(path: Path, url: str) -> None:
    from shared.local.deliverer import Deliverer  # slow to import, and only needed here

    Deliverer(path, {"archive": url}, first_pause_seconds=0.01).run(threading.Event())


def change_secrets_for_ever(folder: Path, acknowledged: Path) -> None:
    """Add, disable and destroy, and note each number after its value was added."""
    store = FileSecrets(folder)
    store.create("s")
    with acknowledged.open("a") as notes:
        for turn in itertools.count():
            number = store.add("s", value(turn)).number
            notes.write(f"{number}\n")
            notes.flush()
            if number > 1:
                store.disable("s", number - 1)
            if number > 2:
                store.destroy("s", number - 2)


def create_objects_for_ever(folder: Path, acknowledged: Path) -> None:
    store = FolderObjects(folder)
    start = len(list(store.list("")))
    with acknowledged.open("a") as notes:
        for number in itertools.count(start):
            if store.create(f"objects/{number:08d}", value(number)):
                notes.write(f"objects/{number:08d}\n")
                notes.flush()


if __name__ == "__main__":
    function = globals()[sys.argv[1]]
    function(*(int(each) if each.isdecimal() else each if "://" in each else Path(each) for each in sys.argv[2:]))
