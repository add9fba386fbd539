"""``make bench-audit``: what the audit trail costs a request, and how fast it is sealed and verified.

All on local stores: the spool as bus, folders as object stores. What Pub/Sub and Cloud Storage add is
their latency, which no machine of ours can tell.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from shared.admission.cells import document
from shared.audit import checkpoints, segments
from shared.audit.checkpoints import trusted
from shared.audit.sealer import Sealer
from shared.audit.verdicts import Verification
from shared.audit.verify import Scope, Verifier
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.policy.types import Audit
from shared.stores.documents import Write
from shared.stores.events import Event
from shared.stores.folder_objects import FolderObjects
from shared.stores.spool import SpoolBus
from shared.stores.sqlite_documents import SqliteDocuments
from tests.benchmarks.report import Row, Target, table
from tests.support.audit_events import MemoryBus, MemoryObjects, Peppers, interaction, store_all
from tests.support.audit_trail import KeySigner

EVENTS_A_SECOND = 50_000
"""What is aimed at for verification from segments."""

_THREADS = 8
_EPOCH = "UTC.2099-01-01"
_KEY = "key-1"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    records: int
    """Events that writers write."""

    chains: int
    sealed: int
    """Events of each chain that are sealed and verified from segments …"""

    archived: int
    """… and from the archive, one object for each."""

    repeats: int


FULL = Effort(records=3000, chains=10, sealed=10_000, archived=500, repeats=3)
QUICK = Effort(records=200, chains=2, sealed=200, archived=50, repeats=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Exit code 0, also where a target is not met: a figure is no test."""
    parser = argparse.ArgumentParser(prog="make bench-audit", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="measure little, to see that it works")
    options = parser.parse_args(arguments)
    rows = []
    for row in measure(QUICK if options.quick else FULL):
        print(f"measured: {row.name}", file=sys.stderr)
        rows.append(row)
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
    }
    if options.json:
        print(json.dumps({"machine": machine, "rows": [row.as_json() for row in rows]}, indent=2))
    else:
        print(f"Python {machine['python']} on {machine['system']}, {machine['processors']} processors")
        print(f"\n{table(rows)}\n")
    return 0


def measure(effort: Effort) -> Iterator[Row]:
    """Every row."""
    with tempfile.TemporaryDirectory(prefix="wardgate-bench-") as folder:
        yield from _writing(Path(folder), effort)
        yield from _verifying(Path(folder), effort)


def _writing(folder: Path, effort: Effort) -> Iterator[Row]:
    """What writers cost a request, against a bare publish of bytes that are ready."""
    call = interaction()
    ready = _events(1, call)[1]
    ways: dict[str, Callable[[], object]] = {}
    with _spool(folder / "bare.db") as bare:
        ways["publish"] = lambda: bare.publish(ready)
        with _writer(folder / "closed.db", "fail_close") as closed, _writer(folder / "best.db", "best_effort") as best:
            ways["fail_close"] = lambda: closed.record(call)
            ways["best_effort"] = lambda: best.record(call)
            taken = _in_turns(ways, effort.records)
            for mode in ("fail_close", "best_effort"):
                yield Row(f"added to a request, {mode}, p50", "us", taken[mode], "bare publish", taken["publish"])
            rate = _rate(ways["fail_close"], effort.records)
            bare_rate = _rate(ways["publish"], effort.records)
            yield Row("events a second, one writer", "/s", rate, "bare publish", bare_rate)
            together = _together(ways["fail_close"], effort.records)
            yield Row(f"events a second, one writer, {_THREADS} threads", "/s", together, "one thread", rate)


def _verifying(folder: Path, effort: Effort) -> Iterator[Row]:
    trail = _Trail(folder, effort.chains, effort.sealed)
    yield Row("bytes of an event, archived", "B", trail.bytes / trail.events, "one hash of it", 32, "difference")
    extra = (trail.size_of(segments.PREFIX) + trail.size_of(checkpoints.PREFIX)) / trail.events
    yield Row("bytes of an event, segment and checkpoint", "B", extra, "archived", trail.bytes / trail.events)
    yield Row("events a second, sealed", "/s", trail.events / trail.sealing, "hashed alone", trail.hashing())
    rate = max(trail.verify(from_segments=True) for _ in range(effort.repeats))
    aim = Target("value", EVENTS_A_SECOND, at_least=True)
    yield Row("events a second, verified from segments", "/s", rate, "hashed alone", trail.hashing(), target=aim)
    small = _Trail(folder / "small", effort.chains, effort.archived, in_files=True)
    slow = max(small.verify(from_segments=False) for _ in range(effort.repeats))
    yield Row("events a second, verified from the archive", "/s", slow, "from segments", rate)


class _Trail:
    """Chains of one key, sealed; checkpoints and segments lie in a folder.

    Args:
        folder: Where.
        chains: How many.
        length: Events of each.
        in_files: Whether the archive does, too; else it is in memory, and only read when it is sealed.
    """

    def __init__(self, folder: Path, chains: int, length: int, *, in_files: bool = False) -> None:
        self._folder = folder / "objects"
        self.objects = FolderObjects(self._folder)
        self._documents = SqliteDocuments(folder / "documents.db")
        self._signer = KeySigner()
        building = self.objects if in_files else MemoryObjects()
        self.events = self.bytes = 0
        self._sample: list[bytes] = []
        for _ in range(chains):
            events = self._chain(length)
            store_all(events, building)
            self.events += len(events)
            self.bytes += sum(len(event.data) for event in events)
            self._sample = [event.data for event in events]
        number = chains * length
        self._documents.commit([Write(document("key", _KEY, _EPOCH), fields={"seq": number})])
        started = time.perf_counter()
        sealer = Sealer(building, self._documents, self._signer, SystemClock())
        while sealer.seal().more:
            pass
        self.sealing = time.perf_counter() - started
        if isinstance(building, MemoryObjects):
            for name, data in building.objects.items():
                if not name.startswith("archive/"):
                    self.objects.create(name, data)

    def _chain(self, length: int) -> list[Event]:
        first = self.events - (2 * (self.events // (length + 2)))
        return _events(
            length, *(interaction(admission_seq=first + n + 1, admission_epoch=_EPOCH) for n in range(length))
        )

    def verify(self, *, from_segments: bool) -> float:
        """Events a second."""
        verifier = Verifier(self.objects, trusted(self._signer.public_keys()), self._documents)
        started = time.perf_counter()
        found = verifier.verify(datetime.now(UTC), Scope(from_segments=from_segments))
        taken = time.perf_counter() - started
        _need_sound(found, self.events)
        return self.events / taken

    def hashing(self) -> float:
        """Events a second of nothing but SHA-256 over their bytes."""
        started = time.perf_counter()
        for data in self._sample:
            hashlib.sha256(data).hexdigest()
        return len(self._sample) / (time.perf_counter() - started)

    def size_of(self, prefix: str) -> int:
        """Bytes of all objects under a prefix."""
        return sum(len(self.objects.read(name) or b"") for name in self.objects.list(prefix))


def _need_sound(found: Verification, events: int) -> None:
    if not found.sound or found.sealed != events:
        raise RuntimeError("The trail of the bench is not sound.")


def _events(count: int, *calls: object) -> list[Event]:
    """A chain of events."""
    bus = MemoryBus()
    writer = ChainWriter(bus, Peppers(), Audit(), SystemClock(), "//wardgate/guard")
    for call in calls[:count]:
        writer.record(call)  # type: ignore[arg-type]  # an interaction
    writer.close()
    return bus.events


@contextmanager
def _spool(path: Path) -> Iterator[SpoolBus]:
    bus = SpoolBus(path)
    try:
        yield bus
    finally:
        bus.close()


@contextmanager
def _writer(path: Path, mode: Literal["fail_close", "best_effort"]) -> Iterator[ChainWriter]:
    with _spool(path) as bus:
        writer = ChainWriter(bus, Peppers(), Audit(mode=mode), SystemClock(), "//wardgate/guard")
        yield writer
        writer.close()


def _in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median of each way in microseconds, A B A B, so that the machine's drift hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 20):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if turn >= 20:
                taken[name].append(time.perf_counter() - started)
    return {name: 1e6 * statistics.median(times) for name, times in taken.items()}


def _rate(way: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        way()
    return count / (time.perf_counter() - started)


def _together(way: Callable[[], object], count: int) -> float:
    each = count // _THREADS
    threads = [threading.Thread(target=lambda: [way() for _ in range(each)]) for _ in range(_THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * _THREADS / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
