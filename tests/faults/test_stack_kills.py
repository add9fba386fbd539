"""The local stack, ended at random moments in random ways: nothing is left, and what was answered is archived.

``make test-faults ROUNDS=20 SEED=7`` repeats a run; the seed of a run is in the names of its tests.
"""

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
import urllib3

from tests.support.stack import LocalStack

SEED = int(os.environ.get("WARDGATE_FAULT_SEED") or time.time())
ROUNDS = int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 5)
HTTP = urllib3.PoolManager(maxsize=8, retries=False)
POLICY = """
limits: [{name: many, amount: 1000000, window_seconds: 60}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all rounds: what a kill leaves behind is what the next start finds."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "policy.yaml").write_text(POLICY)
    return folder / "home"


@pytest.fixture(scope="module")
def answered():
    """Request ids of every answer that a client got in full, over all rounds."""
    return set()


def load(stack, answered, ended):
    """Ask until the stack is gone, and note what was answered."""
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {stack.key}"}
    while not ended.is_set():
        try:
            answer = HTTP.request("POST", f"{stack.url}/v1/chat/completions", json=body, headers=headers, timeout=10)
        except urllib3.exceptions.HTTPError:
            continue
        if answer.status == 200:
            answered.add(answer.headers["x-request-id"])


def end_somehow(stack, chance):
    """Kill or stop the supervisor, its group, or any one process."""
    victims = [*stack.processes(), stack.supervisor.pid]
    how = chance.choice(["supervisor", "anyone", "signals"])
    if how == "supervisor":
        stack.supervisor.kill()
    elif how == "anyone":
        os.kill(chance.choice(victims), signal.SIGKILL)
    else:
        for _ in range(chance.randint(1, 3)):
            os.kill(stack.supervisor.pid, chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
            time.sleep(chance.random() * 0.3)
    return how


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_any_end_leaves_nothing_behind(home, answered, seed):
    chance = random.Random(seed)
    stack = LocalStack(home, policy=home.parent / "policy.yaml")
    stack.start()
    ended = threading.Event()
    clients = [threading.Thread(target=load, args=(stack, answered, ended)) for _ in range(3)]
    try:
        if chance.random() < 0.7:
            stack.wait_until_ready()
            for client in clients:
                client.start()
        time.sleep(chance.random() * 1.5)
        how = end_somehow(stack, chance)
        # A worker that dies is started again by its master; only then does the stack live on.
        if how == "anyone" and stack.supervisor.poll() is None:
            time.sleep(1)
            stack.stop()
        stack.supervisor.wait(60)
    finally:
        ended.set()
        for client in clients:
            if client.ident:
                client.join()
        stack.stop()
    deadline = time.monotonic() + 60
    while stack.processes() or stack.open_ports():
        assert time.monotonic() < deadline, (how, stack.processes(), stack.open_ports(), stack.output)
        time.sleep(0.05)


def test_every_answer_was_archived(home, answered):
    with LocalStack(home, policy=home.parent / "policy.yaml") as stack:
        deadline = time.monotonic() + 60
        while missing := answered - archived(stack.home):
            assert time.monotonic() < deadline, f"{len(missing)} of {len(answered)} answers have no event"
            time.sleep(0.5)


def archived(home):
    """The request ids in the archive."""
    text = [path.read_text() for path in Path(home, "objects", "archive").rglob("*.json")]
    return {value for line in text for value in strings(json.loads(line))}


def strings(value):
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)
