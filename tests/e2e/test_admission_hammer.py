"""Many processes and threads hammer one key on one SQLite file: never more than N in any window, by commit time."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

WORKER = """
import sys, threading, time
from pathlib import Path
from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.clock import SystemClock
from shared.errors import ServiceUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.sqlite_documents import SqliteDocuments

file, amount, until = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
documents = SqliteDocuments(file)
caller = Caller("acme", "key-1", "api_key", frozenset())
limit = RateLimit(name="hammered", amount=amount, window_seconds=1)
policy = AdmissionPolicy(deadline_ms=40)
mine = threading.local()

class Watched:
    def commit(self, writes):
        done = documents.commit(writes)
        mine.committed = done.commit_time
        return done

def work():
    shared = Limiter(Watched(), [limit], policy, SystemClock())
    turn = 0
    while time.time() < until:
        turn += 1
        # Every other attempt is a process that has just started: it knows no denial and no clock.
        limiter = shared if turn % 2 else Limiter(Watched(), [limit], policy, SystemClock())
        try:
            reservation = limiter.reserve(caller, "default", Usage())
            lines.append(f"admitted {mine.committed} {reservation.epoch} {reservation.seq}")
        except LimitExceeded as denied:
            if denied.seq is not None:
                lines.append(f"denied 0 {denied.epoch} {denied.seq}")
        except ServiceUnavailable:
            lines.append("unavailable 0 - 0")
        time.sleep(0.002)

lines = []
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("\\n".join(lines))
"""

AMOUNT = 20
SECONDS = 4


def test_four_processes_of_four_threads_never_exceed_the_limit(tmp_path: Path) -> None:
    until = time.time() + 1 + SECONDS
    command = [sys.executable, "-c", WORKER, str(tmp_path / "documents.db"), str(AMOUNT), str(until)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]

    admitted: list[int] = []
    numbers: dict[str, list[int]] = {}
    for line in "".join(outputs).split("\n"):
        if not line:
            continue
        outcome, committed, epoch, seq = line.split()
        if outcome == "admitted":
            admitted.append(int(committed))
        if outcome != "unavailable":
            numbers.setdefault(epoch, []).append(int(seq))
    admitted.sort()
    beyond = zip(admitted, admitted[AMOUNT:], strict=False)
    assert all(late - early >= 1_000_000_000 for early, late in beyond), "more than N in one window"
    windows = 1 + (until - admitted[0] / 1e9) // 1.2
    assert len(admitted) >= AMOUNT * windows / 2, "and the limit is made use of"
    assert sum(map(len, numbers.values())) > 2 * len(admitted), "most attempts were denied by a commit"
    for taken in numbers.values():
        assert len(set(taken)) == len(taken), "no admission number is given twice"
    if "unavailable" not in "".join(outputs):
        for taken in numbers.values():
            assert all(after == before + 1 for before, after in pairwise(sorted(taken))), "and none is missing"
