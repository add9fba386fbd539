"""A process's own file of the events that the bus has not acknowledged, which outlives the process.

An event is written here when it gets its place in the chain, before anybody publishes a later one. So when
a process is killed, whoever looks next finds every event that could be missing from the bus, and sends it:
a process that begins a chain takes over the files of the dead. A file is as durable as its folder:
it survives any process on the same machine or instance, and no power cut.

The form is lines: ``+`` and a record, or ``-`` and the number of one that was acknowledged. Those are written
with the next record, so that an event costs one system call; what is sent twice for it does no harm. A file
belongs to whoever holds its lock (``flock``), which ends with the process, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from shared.audit.record import MalformedRecord, event_of
from shared.stores.events import Event
from shared.stores.files import FILE_MODE, make_private_folder

MAX_BYTES = 32 * 1024 * 1024
"""Size of one process's file; where the folder lies in memory, it is the instance's."""

COMPACT_BYTES = 4 * 1024 * 1024
"""From this size on a file is written anew when half of it is no longer needed."""

_SUFFIX = ".journal"


class Journal:
    """The file of one chain. Not thread-safe: its owner writes under the chain's lock."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make the file.

        Raises:
            OSError: It cannot be made.
        """
        make_private_folder(folder)
        self._path = folder / f"{name}{_SUFFIX}"
        self._descriptor = _own_new(self._path)
        self._size = 0
        self._acknowledged: list[int] = []

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    def write(self, data: bytes) -> int:
        """Keep a record; answers its place in the file.

        Raises:
            OSError: It cannot be written, or the file is full.
        """
        marks = b"".join(b"-%d\n" % seq for seq in self._acknowledged)
        line = b"%b+%b\n" % (marks, data)
        if self._size + len(line) > MAX_BYTES:
            raise OSError("The journal is full.")
        _write(self._descriptor, line, self._size)
        self._acknowledged.clear()
        place = self._size + len(marks) + 1
        self._size += len(line)
        return place

    def acknowledged(self, seq: int) -> None:
        """A record is no longer needed."""
        self._acknowledged.append(seq)

    def read(self, place: int, length: int) -> bytes:
        """A record that was written."""
        return os.pread(self._descriptor, length, place)

    def compact(self, records: Iterable[tuple[int, int]]) -> list[int]:
        """Write the file anew with these records only, given as place and length; answers their new places.

        Raises:
            OSError: It cannot be written; the file stays as it was.
        """
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            places, lines, size = [], [], 0
            for place, length in records:
                lines.append(b"+%b\n" % self.read(place, length))
                places.append(size + 1)
                size += len(lines[-1])
            _write(descriptor, b"".join(lines), 0)
            draft.replace(self._path)
        except BaseException:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        os.close(self._descriptor)
        self._descriptor, self._size = descriptor, size
        self._acknowledged.clear()
        return places

    def close(self, *, needed: bool) -> None:
        """Let go of the file: it stays for another process where it is still needed."""
        if not needed:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def abandon(self) -> None:
        """After a fork: the file is the parent's, and its lock ends when neither has it open."""
        os.close(self._descriptor)


class Journals:
    """The folder of all journals."""

    def __init__(self, folder: Path) -> None:
        """Makes nothing yet."""
        self._folder = folder

    def open(self, chain_uid: str) -> Journal:
        """A journal for a new chain.

        Raises:
            OSError: It cannot be made.
        """
        return Journal(self._folder, chain_uid)

    def left_behind(self) -> Iterator[LeftBehind]:
        """The journals of processes that have ended, each locked while it is looked at.

        Raises:
            OSError: While iterating: the folder cannot be used.
        """
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            if path.suffix not in (_SUFFIX, ".new") or (descriptor := _take_over(path)) is None:
                continue
            try:
                yield LeftBehind(path)
            finally:
                os.close(descriptor)


class LeftBehind:
    """What a process could not tell of any more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> list[Event]:
        """The events that may be missing from the bus, in the order of their chain.

        What is no record, such as the last line of a process that was killed while it wrote, is left out: no
        later event can have been published.
        """
        events: dict[int, Event] = {}
        for line in self.path.read_bytes().split(b"\n"):
            if line[:1] == b"-" and line[1:].isdigit():
                events.pop(int(line[1:]), None)
            elif line[:1] == b"+":
                with suppress(MalformedRecord):
                    event = event_of(line[1:])
                    events[int(event.id.rpartition("/")[2])] = event
        return [events[seq] for seq in sorted(events)]

    def remove(self) -> None:
        """Everything in it is on the bus."""
        self.path.unlink(missing_ok=True)


def _write(descriptor: int, data: bytes, size: int) -> None:
    """Append to a file of this size, wholly or not at all."""
    try:
        written = os.write(descriptor, data)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if written != len(data):
        os.ftruncate(descriptor, size)
        raise OSError("The disk is full.")


def _own_new(path: Path) -> int:
    """A new file, locked. Who looks for the dead may lock and remove it in between: then once more."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _take_over(path: Path) -> int | None:
    """A dead process's file, locked; None where its process lives or another has taken it over."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if _is(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def _is(descriptor: int, path: Path) -> bool:
    """Whether the path still names the open file."""
    try:
        found, opened = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)
