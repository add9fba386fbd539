"""Idempotency-Key between real processes on one SQLite file: one runs; one that is killed lets another in."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

PROCESS = """
import hashlib, sys, time
from pathlib import Path
from shared.admission.idempotency import Fresh, Idempotency, Replay, Retry, StoredAnswer
from shared.clock import SystemClock
from shared.errors import Conflict
from shared.identity.caller import Caller
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments
import shared.admission.idempotency as module

module._LEASE_MARGIN_SECONDS = 0
file, lease, start, task = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
idempotency = Idempotency(SqliteDocuments(file), SystemClock())
caller = Caller("acme", "key-1", "api_key", frozenset())

def begin(key):
    return idempotency.begin(caller, key, hashlib.sha256(b"{}").digest(), Secret(b"credential"), lease)

time.sleep(max(0, start - time.time()))
if task == "race":
    for number in range(30):
        try:
            begun = begin(f"key-{number}")
        except Conflict as conflict:
            print(number, conflict.code)
            continue
        print(number, type(begun).__name__)
        if not isinstance(begun, Replay):
            idempotency.finish(begun.handle, StoredAnswer(200, "text/plain", sys.argv[5].encode()))
elif task == "hold":
    print(type(begin("key")).__name__, flush=True)
    time.sleep(60)
else:
    while True:
        try:
            print(type(begin("key")).__name__)
            break
        except Conflict as conflict:
            print(conflict.code)
            time.sleep(0.05)
"""


def start(file: Path, lease: float, at: float, *task: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS, str(file), str(lease), str(at), *task]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_processes_with_the_same_key_exactly_one_runs(tmp_path: Path) -> None:
    at = time.time() + 1.5
    racers = [start(tmp_path / "documents.db", 30, at, "race", str(number)) for number in range(4)]
    outcomes = [line.split() for racer in racers for line in racer.communicate(timeout=30)[0].splitlines()]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert len(outcomes) == 4 * 30
    for number in range(30):
        mine = [outcome for key, outcome in outcomes if key == str(number)]
        assert mine.count("Fresh") == 1
        assert set(mine) <= {"Fresh", "Replay", "idempotency_in_progress"}


def test_a_killed_process_holds_the_key_only_until_its_lease_ends(tmp_path: Path) -> None:
    file = tmp_path / "documents.db"
    killed = start(file, 2.5, 0, "hold")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "Fresh\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    lines = start(file, 2.5, 0, "insist").communicate(timeout=30)[0].splitlines()
    assert lines[-1] == "Retry"
    assert set(lines[:-1]) == {"idempotency_in_progress"}
