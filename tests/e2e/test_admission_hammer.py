"""Many processes and threads hammer one key: never more than a limit in any window, by commit time, and hardly less."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.clock import SystemClock
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.connect import connect_documents
from tests.support.emulators import firestore_emulator

WORKER = """
import sys, threading, time
from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.clock import SystemClock
from shared.errors import ServiceUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.connect import connect_documents

uri, amount, seconds, deadline, until = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
documents = connect_documents(uri)
caller = Caller("acme", "key-1", "api_key", frozenset(), user="ann")
limits = [
    RateLimit(name="requests", amount=amount, window_seconds=seconds),
    RateLimit(name="tokens", kind="tokens", amount=30 * amount, window_seconds=seconds),
    RateLimit(name="calls", kind="concurrency", amount=100),
    RateLimit(name="money", kind="cost", amount=10**9, window_seconds=3600),
    RateLimit(name="day", kind="tokens", amount=10**9, window="day", per="user"),
    RateLimit(name="tenant", amount=10**6, window_seconds=seconds, per="tenant"),
]
policy = AdmissionPolicy(deadline_ms=deadline)

shared = Limiter(documents, limits, policy, SystemClock())

def work():
    turn = 0
    while time.time() < until:
        turn += 1
        # Now and then a process that has just started: it knows no denial and no clock.
        limiter = shared if turn % 8 else Limiter(documents, limits, policy, SystemClock())
        try:
            reservation = limiter.reserve(caller, "default", Usage(1, 10, 10, 20))
            limiter.settle(reservation, Usage(1, 5, 5, 10))
            lines.append(f"admitted {reservation.committed} {reservation.epoch} {reservation.seq}")
        except LimitExceeded as denied:
            if denied.seq is not None:
                lines.append(f"denied 0 {denied.epoch} {denied.seq}")
        except ServiceUnavailable:
            lines.append("unavailable 0 - 0")
        time.sleep(0.005)

lines = []
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("\\n".join(lines))
"""

HOLDER = """
import sys, time
from shared.admission.limiter import Limiter
from shared.admission.port import Usage
from shared.clock import SystemClock
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.connect import connect_documents

limits = [
    RateLimit(name="calls", kind="concurrency", amount=3),
    RateLimit(name="m", kind="cost", amount=30, window="day"),
]
limiter = Limiter(
    connect_documents(sys.argv[1]), limits, AdmissionPolicy(deadline_ms=300), SystemClock(), lease_seconds=3
)
for _ in range(3):
    limiter.reserve(Caller("acme", "key-2", "api_key", frozenset()), "default", Usage(cost=10))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with firestore_emulator() as address:
        yield address


@pytest.fixture(params=["sqlite", "firestore"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'documents.db'}"
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", request.getfixturevalue("emulator"))
    return f"firestore://hammer-{uuid.uuid4().hex[:8]}"


AMOUNT = 40
WINDOW_SECONDS = 6
DEADLINE_MS = 1000
BUCKETS = 3
SECONDS = 15


def test_four_processes_of_eight_threads_keep_all_limits_and_use_them(uri: str) -> None:
    until = time.time() + 2 + SECONDS
    command = [
        sys.executable, "-c", WORKER, uri, str(AMOUNT), str(WINDOW_SECONDS), str(DEADLINE_MS), str(until)
    ]  # fmt: skip
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=90)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]

    lines = [line.split() for line in "".join(outputs).split("\n") if line]
    admitted = sorted(int(committed) for outcome, committed, _, _ in lines if outcome == "admitted")
    numbers: dict[str, list[int]] = {}
    for outcome, _, epoch, seq in lines:
        if outcome != "unavailable":
            numbers.setdefault(epoch, []).append(int(seq))
    beyond = zip(admitted, admitted[AMOUNT:], strict=False)
    assert all(late - early >= WINDOW_SECONDS * 1_000_000_000 for early, late in beyond), "more than N in one window"
    longest_hold = WINDOW_SECONDS * (BUCKETS + 1) / BUCKETS
    windows = 1 + (until - admitted[0] / 1e9) // longest_hold
    unavailable = sum(outcome == "unavailable" for outcome, _, _, _ in lines)
    if not unavailable:  # a machine under load may lose commits, whose charges stay
        assert len(admitted) >= 0.9 * AMOUNT * windows, "and the limit is made use of"
    for taken in numbers.values():
        assert len(set(taken)) == len(taken), "no admission number is given twice"
    if not unavailable:
        for taken in numbers.values():
            assert all(after == before + 1 for before, after in pairwise(sorted(taken))), "and none is missing"


def test_what_a_killed_process_held_comes_back_after_its_lease_and_a_slot(uri: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, uri], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        held = time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
    limits = [
        RateLimit(name="calls", kind="concurrency", amount=3),
        RateLimit(name="m", kind="cost", amount=30, window="day"),
    ]
    limiter = Limiter(connect_documents(uri), limits, AdmissionPolicy(), SystemClock(), lease_seconds=3)
    caller = Caller("acme", "key-2", "api_key", frozenset())
    with pytest.raises(LimitExceeded):
        limiter.reserve(caller, "default", Usage(cost=10))
    time.sleep(max(0.0, held + 3 + 0.75 + 0.1 - time.monotonic()))
    for _ in range(3):
        limiter.reserve(caller, "default", Usage(cost=10))
    with pytest.raises(LimitExceeded):
        limiter.reserve(caller, "default", Usage(cost=10))
