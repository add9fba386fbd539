"""guard killed under load at random moments, its bus down and up again, events delivered twice: the trail is whole.

``make test-faults ROUNDS=20 SEED=7`` repeats a run; the seed of a run is in the names of its tests.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import urllib3

from shared.audit.record import Record, read_record
from shared.audit.verify import Verifier
from shared.stores.folder_objects import FolderObjects
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support import openai_server as upstream
from tests.support.openai_server import OpenAIServer
from tests.support.stack import LocalStack

SEED = int(os.environ.get("WARDGATE_FAULT_SEED") or time.time())
ROUNDS = int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 5)
POLICY = """
limits: [{name: many, amount: 1000000, window_seconds: 60}]
calls: {attempts: 1, breaker_failures: 1000}
"""
HTTP = urllib3.PoolManager(maxsize=16, retries=False)
CLIENTS = 6


@dataclass
class Load:
    """What clients got, over all rounds, by request id."""

    stack: LocalStack
    answered: set[str] = field(default_factory=set)
    """In full, the stream's last mark included."""

    begun: set[str] = field(default_factory=set)
    """Streams of which a byte arrived."""

    ended: threading.Event = field(default_factory=threading.Event)

    def ask(self, stream: bool) -> None:
        """Ask once, and note what came of it."""
        body = {"model": "default", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {self.stack.key}"}
        url = f"{self.stack.url}/v1/chat/completions"
        with suppress(urllib3.exceptions.HTTPError):
            response = HTTP.request("POST", url, json=body, headers=headers, timeout=15, preload_content=False)
            request_id, received = response.headers["x-request-id"], b""
            if response.status != 200:
                response.read()
                return
            for part in response.stream(64):
                received += part
                if stream:
                    self.begun.add(request_id)
            if not stream or b"data: [DONE]" in received:
                self.answered.add(request_id)

    def run(self, chance: random.Random) -> None:
        """Ask until the end."""
        while not self.ended.is_set():
            self.ask(stream=chance.random() < 0.5)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """A stack under load for all rounds."""
    folder = tmp_path_factory.mktemp("audit-kills")
    (folder / "policy.yaml").write_text(POLICY)
    usual = upstream.as_asked(pieces=5, pace=0.02)
    with (
        OpenAIServer(usual) as server,
        LocalStack(folder / "home", policy=folder / "policy.yaml", env={"UPSTREAM_URL": server.url}) as stack,
    ):
        made = Load(stack)
        clients = [threading.Thread(target=made.run, args=(random.Random(number),)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield made
        finally:
            made.ended.set()
            for client in clients:
                client.join()


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_guard_goes_on_after_any_fault(load: Load, seed: int) -> None:
    chance = random.Random(seed)
    before = len(load.answered)
    time.sleep(chance.random() * 0.6)
    if chance.random() < 0.4:
        take_the_bus_away(load.stack, seconds=chance.random() * 3, kill=chance.random() < 0.5)
    else:
        kill_guard(load.stack)
    if chance.random() < 0.3:
        deliver_again(load.stack, chance)
    deadline = time.monotonic() + 60
    while len(load.answered) < before + CLIENTS:
        assert time.monotonic() < deadline, load.stack.log("guard")[-2000:]
        time.sleep(0.02)


def kill_guard(stack: LocalStack) -> None:
    """As the kernel would that runs out of memory. Between two workers there is none for a moment."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(ValueError, OSError):
            os.kill(stack.worker("guard"), signal.SIGKILL)
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def take_the_bus_away(stack: LocalStack, seconds: float, *, kill: bool) -> None:
    """Keep everybody from publishing; guard may be killed meanwhile, with events that wait."""
    with closing(sqlite3.connect(stack.home / "spool.db", isolation_level=None, timeout=20)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        if kill:
            kill_guard(stack)
        connection.execute("ROLLBACK")


def deliver_again(stack: LocalStack, chance: random.Random) -> None:
    """Publish what is archived a second time, in any order."""
    files = list((stack.home / "objects" / "archive").rglob("*.json"))
    rows = []
    for file in chance.sample(files, min(20, len(files))):
        record = read_record(file.read_bytes())
        rows.append((record.id, record.source, record.type, record.time, file.read_bytes()))
    with closing(sqlite3.connect(stack.home / "spool.db", timeout=20)) as connection, connection:
        connection.executemany("INSERT INTO events (id, source, type, time, data) VALUES (?, ?, ?, ?, ?)", rows)


def test_the_trail_is_whole_afterwards(load: Load) -> None:
    load.ended.set()
    time.sleep(1)  # what runs ends
    for _ in range(20):  # with these goes what waits
        load.ask(stream=False)
    deadline = time.monotonic() + 60
    while missing := load.answered - ids(records(load.stack), "wardgate.interaction"):
        assert time.monotonic() < deadline, f"{len(missing)} of {len(load.answered)} answers have no event"
        time.sleep(0.5)
    chains: dict[str, dict[int, Record]] = defaultdict(dict)
    everything = records(load.stack)
    for record in everything:
        chains[record.chain_uid][record.seq] = record
    assert load.begun <= ids(everything, "wardgate.interaction.started")

    later = datetime.now(UTC) + timedelta(hours=1)  # when nothing is on its way any more
    documents = SqliteDocuments(load.stack.home / "documents.db", timeout_seconds=5)
    found = Verifier(FolderObjects(load.stack.home / "objects"), {}, documents).verify(later)
    assert [*found.integrity.faults.shown, *found.completeness.faults.shown] == []
    for chain in chains.values():
        closed = chain[max(chain)].type == "wardgate.chain.close"
        begun = {seq for seq, record in chain.items() if record.type == "wardgate.interaction.started"}
        ended = {record.attributes.get("wardgate.started.seq") for record in chain.values()} - {None}
        assert ended <= begun
        assert not closed or begun == ended, "a stream without its end in a chain that has one"
    heads = {head.id: head.fields for head in documents.list("audit_heads")}
    for uid, head in heads.items():
        assert chains[uid][head["seq"]].fingerprint == head["fingerprint"], "a head that the archive does not have"
    guards = {record.chain_uid for record in everything if record.type == "wardgate.interaction"}
    assert guards <= heads.keys()


def records(stack: LocalStack) -> list[Record]:
    return [read_record(file.read_bytes()) for file in Path(stack.home, "objects", "archive").rglob("*.json")]


def ids(found: list[Record], type_: str) -> set[str]:
    return {record.attributes["wardgate.request.id"] for record in found if record.type == type_}
