"""Sealers and sinks killed at random moments under load, and a bus that repeats and reorders: the trail stays whole.

``make test-faults ROUNDS=20 SEED=7`` repeats a run; the seed of a run is in the names of its tests.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.audit import checkpoints
from shared.audit.checkpoints import places, read_checkpoint
from shared.audit.record import parse_record
from shared.audit.verdicts import Verification
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.local.deliverer import Deliverer
from shared.policy.types import Audit
from shared.stores.events import Event
from shared.stores.folder_objects import FolderObjects
from shared.stores.spool import SpoolBus
from tests.support.audit_events import Peppers, interaction, store_all
from tests.support.audit_trail import Trail
from tests.support.function_process import FunctionProcess

SEED = int(os.environ.get("WARDGATE_FAULT_SEED") or time.time())
ROUNDS = int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 5)

SEALER = """
import sys
from pathlib import Path
from shared.audit import sealer
from shared.clock import SystemClock
from shared.stores.folder_objects import FolderObjects
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.audit_trail import KeySigner

sealer.MAX_EVENTS, sealer._AT_ONCE = 24, 8  # many small steps, so that a kill finds one half done
home = Path(sys.argv[1])
documents = SqliteDocuments(home / "documents.db")
print("ready", flush=True)
while True:
    sealer.Sealer(FolderObjects(home / "objects"), documents, KeySigner(), SystemClock()).seal()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


def start_sealer(home: Path) -> subprocess.Popen[str]:
    """A process that seals for as long as it lives."""
    process = subprocess.Popen([sys.executable, "-c", SEALER, str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def now_trail(home: Path) -> Trail:
    """A trail whose virtual time is that of the sealers' processes."""
    trail = Trail(home, FolderObjects(home / "objects"))
    trail.clock.now = time.time_ns()
    return trail


def assert_sealed_once(trail: Trail, events: list[Event]) -> None:
    """Nobody lost, nobody twice, and both ways to verify agree."""
    trail.clock.now = time.time_ns()
    while trail.seal().more:
        pass
    names = trail.objects.list(checkpoints.PREFIX)
    manifests = [read_checkpoint(trail.objects.read(name) or b"").manifest for name in names]
    found = [(place.chain_uid, place.seq) for manifest in manifests for place in places(manifest)]
    records = [parse_record(event.data) for event in events]
    assert sorted(found) == sorted((record.chain_uid, record.seq) for record in records)
    for from_segments in (False, True):
        assert_clean(trail.verify(from_segments=from_segments))


def assert_clean(found: Verification) -> None:
    assert found.sound, [str(each) for verdict in found.verdicts.values() for each in verdict.faults.shown]
    assert not any(verdict.excused.count for verdict in found.verdicts.values())


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_sealers_that_are_killed_under_load(home: Path, seed: int) -> None:
    """Two at once, killed and started again, while events arrive late, twice and in any order."""
    chance = random.Random(seed)
    trail = now_trail(home)
    epoch = "UTC.2099-01-01"
    events = [event for _ in range(4) for event in trail.numbered(chance.randint(5, 60), epoch=epoch, store=False)]
    arriving = chance.sample(events, len(events)) + chance.sample(events, len(events) // 3)
    sealers = [start_sealer(home) for _ in range(2)]
    kills = chance.randint(1, 3)
    try:
        while arriving:
            some = chance.randint(10, 80)
            store_all(arriving[:some], trail.objects)
            del arriving[:some]
            if kills and chance.random() < 0.6:
                time.sleep(chance.random() * 0.05)
                kills -= 1
                victim = chance.randrange(2)
                end(sealers[victim])
                sealers[victim] = start_sealer(home)
        time.sleep(chance.random() * 0.2)
    finally:
        for process in sealers:
            end(process)
    assert_sealed_once(trail, events)


@pytest.mark.parametrize("seed", range(SEED, SEED + max(1, ROUNDS // 2)))
def test_a_sink_that_is_killed_under_load(home: Path, seed: int) -> None:
    """What was acknowledged by the spool is in the archive, once, whenever the sink dies."""
    chance = random.Random(seed)
    spool = home / "spool.db"
    bus = SpoolBus(spool)
    writer = ChainWriter(bus, Peppers(), Audit(), SystemClock(), "//wardgate/guard")
    written = 0
    kills = 0
    while kills < 2:
        with FunctionProcess("audit_archive", home) as sink:
            assert sink.process is not None
            deliverer = Deliverer(spool, {"audit_archive": f"{sink.url}/"})
            stop = threading.Event()
            delivering = threading.Thread(target=deliverer.run, args=(stop,))
            delivering.start()
            for _ in range(chance.randint(5, 120)):
                writer.record(interaction(admission_seq=None))
                written += 1
            time.sleep(chance.random() * 0.3)
            for child in children(sink.process.pid):
                os.kill(child, signal.SIGKILL)
            sink.process.kill()
            kills += 1
            stop.set()
            delivering.join()
            deliverer.close()
    writer.close()
    with FunctionProcess("audit_archive", home) as sink:
        deliverer = Deliverer(spool, {"audit_archive": f"{sink.url}/"})
        stop = threading.Event()
        delivering = threading.Thread(target=deliverer.run, args=(stop,))
        delivering.start()
        deadline = time.monotonic() + 60
        while deliverer.pending():
            assert time.monotonic() < deadline, sink.output
            time.sleep(0.05)
        stop.set()
        delivering.join()
        deliverer.close()
    bus.close()
    trail = now_trail(home)
    assert trail.seal().events == written + 2
    assert_clean(trail.verify())


def children(pid: int) -> list[int]:
    """The processes that a gunicorn master has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
