"""Rotation under kills: a real process dies at every point, once and over and over, alone and among others.

``make test-faults ROUNDS=100 SEED=7`` repeats a run; the seed of a run is in the names of its tests.
"""

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.rotation.schedule import read_record
from shared.stores.secret_reader import SecretReader
from tests.support.providers import KeyWebhook
from tests.support.rotation import NAME, TIMING, Provider, assert_settled, is_served
from tests.support.rotation_worker import DEATH, SIGNING_SECRET, stores, webhook

SEED = int(os.environ.get("WARDGATE_FAULT_SEED") or time.time())
ROUNDS = int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 5)
ROOT = Path(__file__).parents[2]

STEPS = (("rotate", 0), ("end of grace", TIMING.grace + 1), ("end of bake", TIMING.bake + 1))
"""The ticks of one rotation, and how much later each comes than the one before."""

LEASE = 200
"""Longer than a lease: after a death somebody else must wait so long."""


class Worker:
    """A process that rotates in a folder, on its own time; with a server given, by keys of that webhook."""

    def __init__(self, folder: Path, server: KeyWebhook | None = None) -> None:
        self.folder = folder
        self.server = server
        self.ahead = 0.0
        self.points: list[int] = []
        command = [sys.executable, "-m", "tests.support.rotation_worker", str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def send(self, **order):
        url = None if self.server is None else f"{self.server.origin}/keys"
        self.process.stdin.write(json.dumps({"ahead": self.ahead, "url": url, **order}) + "\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def tick(self, **order):
        self.send(**order)
        return self.receive()

    def stores(self):
        return stores(self.folder, self.ahead)

    def record(self):
        _, documents, _ = self.stores()
        try:
            return read_record(documents, NAME)
        finally:
            documents.close()

    def check_served(self, reader=None):
        """A reader that knows nothing, and one that has known the keys from the start, are both served."""
        store, documents, _ = self.stores()
        try:
            fresh = SecretReader(store, documents, "production", {})
            assert is_served(fresh, self.accepts)
            if reader is not None:
                assert is_served(reader, self.accepts)
        finally:
            documents.close()

    def accepts(self, value):
        """Whether a call with this key would be served."""
        if self.server is not None:
            return self.server.accepts(value.reveal().decode())
        return Provider(self.folder / "provider.db").accepts(value)

    def finish(self):
        """Tick, undisturbed, until nothing is left to do."""
        for _ in range(12):
            self.ahead += LEASE
            self.tick()
            record = self.record()
            if record.state == "IDLE" and not record.discarded:
                return
            self.ahead += TIMING.grace if record.state == "PROMOTED" else TIMING.bake
        raise AssertionError(record)

    def assert_settled(self):
        store, documents, provider = self.stores()
        try:
            driver = provider if self.server is None else webhook(f"{self.server.origin}/keys")
            return assert_settled(store, documents, driver)
        finally:
            documents.close()


@pytest.fixture
def worker(tmp_path):
    with Worker(tmp_path) as running:
        assert running.tick()["result"] == "promoted"
        running.ahead += 10
        yield running


def lasting_reader(store, documents):
    """A reader that lives through many rotations. Its time goes fast, too: a second at each look at the clock."""
    seconds = itertools.count()
    return SecretReader(store, documents, "production", {}, monotonic=lambda: float(next(seconds)))


def rotate(worker, deaths):
    """One rotation whose process dies as ``deaths`` says: at which point of which tick. The number of deaths."""
    died, ordered = 0, False
    generation = worker.record().generation
    for step, later in STEPS:
        worker.ahead += later
        while True:
            now = not ordered and step == "rotate"
            done = worker.tick(now=now, die_at=deaths(step))
            if worker.record().generation > generation:
                ordered = True
            worker.check_served()
            if "died" not in done:
                worker.points.append(done["points"])
                break
            assert done["died"] == DEATH
            died += 1
            worker.ahead += LEASE
    return died


def points_of_a_rotation(folder):
    """How many points each tick of an undisturbed rotation has."""
    folder.mkdir()
    with Worker(folder) as worker:
        worker.tick()
        worker.ahead += 10
        rotate(worker, lambda step: None)
        worker.finish()
        worker.assert_settled()
        return dict(zip((step for step, _ in STEPS), worker.points, strict=True))


def dying(step_of_death, point, times=1):
    """Die there, so many times in a row."""
    left = [times]

    def deaths(step):
        if step == step_of_death and left[0]:
            left[0] -= 1
            return point
        return None

    return deaths


@pytest.mark.parametrize("times", [1, 3])
def test_a_death_at_every_point(tmp_path, times):
    """Every point in turn: the process dies there, and so do those that come next, until one is left alone.

    Of the repeated deaths a short run takes every fourth point.
    """
    stride = 1 if times == 1 or ROUNDS >= 20 else 4
    points = points_of_a_rotation(tmp_path / "count")
    assert points["rotate"] > 30
    with Worker(tmp_path) as worker:
        worker.tick()
        worker.ahead += 10
        store, documents, _ = worker.stores()
        reader = lasting_reader(store, documents)
        for step, count in points.items():
            for point in range(SEED % stride, count, stride):
                assert rotate(worker, dying(step, point, times)) >= 1
                worker.finish()
                worker.assert_settled()
                worker.check_served(reader)
                worker.ahead += 10
        documents.close()


def test_a_death_at_every_point_of_a_webhooks_key(tmp_path):
    """As above, with a real driver and a server that the dying process has asked, or was about to ask."""
    stride = 1 if ROUNDS >= 20 else 3
    with KeyWebhook([SIGNING_SECRET]) as server, Worker(tmp_path, server) as worker:
        worker.tick()
        worker.ahead += 10
        rotate(worker, lambda step: None)
        worker.finish()
        counts = dict(zip((step for step, _ in STEPS), worker.points[-len(STEPS) :], strict=True))
        assert counts["rotate"] > 30
        for step, count in counts.items():
            for point in range(SEED % stride, count, stride):
                worker.ahead += 10
                assert rotate(worker, dying(step, point)) == 1
                worker.finish()
                worker.assert_settled()
        assert len(server.keys) == 1
        assert len(server.values) > sum(counts.values()) // stride, "each rotation has made a key"


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_any_number_of_deaths(worker, seed):
    chance = random.Random(seed)
    left = [chance.randint(1, 10)]

    def deaths(step):
        if left[0] and chance.random() < 0.8:
            left[0] -= 1
            return chance.randint(0, 45)
        return None

    for _ in range(3):
        rotate(worker, deaths)
        worker.ahead += 10
    worker.finish()
    worker.assert_settled()
    worker.check_served()


@pytest.mark.parametrize("seed", range(SEED, SEED + min(ROUNDS, 25)))
def test_eight_triggers_at_once_with_deaths_among_them(tmp_path, seed):
    chance = random.Random(seed)
    with Worker(tmp_path) as first:
        first.tick()
    workers = [Worker(tmp_path) for _ in range(8)]
    store, documents, provider = stores(tmp_path)
    reader, unserved, ended = lasting_reader(store, documents), [], threading.Event()

    def read():
        while not ended.is_set():
            if not is_served(reader, provider.accepts):
                unserved.append(time.monotonic())

    reading = threading.Thread(target=read)
    reading.start()
    try:
        for round_ in range(3):
            for index, worker in enumerate(workers):
                worker.ahead = 10 + round_ * 10**5 + chance.choice([0, 0, 90, 300])
                worker.send(now=True, die_at=chance.randint(0, 60) if index % 2 else None)
            results = [worker.receive() for worker in workers]
            assert all("result" in result or result["died"] == DEATH for result in results)
    finally:
        ended.set()
        reading.join()
        documents.close()
        for worker in workers[1:]:
            worker.__exit__()
    with workers[0] as last:
        last.ahead = 10**6
        last.finish()
        last.assert_settled()
        last.check_served()
    assert not unserved


def test_eight_orders_at_once_are_one_rotation(worker):
    before = worker.record().generation
    others = [Worker(worker.folder) for _ in range(8)]
    try:
        for other in others:
            other.ahead = worker.ahead
            other.send(now=True)
        results = [other.receive()["result"] for other in others]
    finally:
        for other in others:
            other.__exit__()
    assert results.count("promoted") == 1
    assert set(results) <= {"promoted", "busy", "in_grace"}
    assert worker.record().generation == before + 1


def test_nothing_that_is_left_behind_holds_a_value(worker):
    """Neither the documents, nor what processes show of themselves, nor what they print."""
    for _ in range(3):
        rotate(worker, dying("rotate", 17))
        worker.ahead += 10
    values = [value.encode() for value in Provider(worker.folder / "provider.db").values()]
    assert len(values) > 3
    shown = Path(f"/proc/{worker.process.pid}/cmdline").read_bytes()
    shown += Path(f"/proc/{worker.process.pid}/environ").read_bytes()
    shown += b"".join(file.read_bytes() for file in worker.folder.glob("documents.db*"))
    assert not [value for value in values if value in shown]
