"""Sinks killed in the middle of a batch and started again: nothing is lost, and nothing counts twice.

``make test-faults ROUNDS=20 SEED=7`` repeats a run; the seed of a run is in the names of its tests.
"""

import json
import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from shared.local.deliverer import Deliverer
from shared.stores.spool import SpoolBus
from tests.support.function_process import FunctionProcess
from tests.support.trail import Chain, finding

SEED = int(os.environ.get("WARDGATE_FAULT_SEED") or time.time())
ROUNDS = int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 3)
EVENTS = 80
BLOCKED_PER_LEVEL = 10
POLICY = f"alerts: {{blocks: {{amount: {BLOCKED_PER_LEVEL}, action: throttle}}, window_seconds: 86400}}"


def ask(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_a_killed_sink_loses_nothing_and_counts_nothing_twice(tmp_path, seed):
    chance = random.Random(seed)
    (tmp_path / "policy.yaml").write_text(POLICY)
    env = {"WARDGATE_POLICY": str(tmp_path / "policy.yaml")}
    chain = Chain(f"{seed:032x}")
    moment = time.time_ns()  # of all events, so that they are in one window
    bus = SpoolBus(tmp_path / "spool" / "spool.db")
    for _ in range(EVENTS):
        bus.publish(chain.interaction(decision="blocked", findings=[finding()], findings_count=1, time=moment))
    bus.close()

    sinks = {name: FunctionProcess(name, tmp_path, env) for name in ("audit_warehouse", "audit_alerts")}
    for sink in sinks.values():
        sink.__enter__()
    stop = threading.Event()
    urls = {name: sink.url for name, sink in sinks.items()}
    deliverer = Deliverer(tmp_path / "spool" / "spool.db", urls, attempts=100, longest_pause_seconds=0.5)
    delivery = threading.Thread(target=deliverer.run, args=(stop,))
    delivery.start()
    try:
        for _ in range(2):
            time.sleep(chance.random() * 0.4)
            victim = chance.choice(list(sinks.values()))
            victim.kill()
            victim.__enter__()
        deadline = time.monotonic() + 60
        while deliverer.pending():
            assert time.monotonic() < deadline, deliverer.dead_letters()
            time.sleep(0.05)
        assert deliverer.dead_letters() == []
    finally:
        stop.set()
        delivery.join()
        deliverer.close()
        for sink in sinks.values():
            sink.__exit__()

    for view in ("events", "findings"):
        rows = ask(tmp_path / "warehouse.db", f"SELECT COUNT(*), COUNT(DISTINCT seq) FROM {view}")
        assert rows == [(EVENTS, EVENTS)]
    alerts = [json.loads(data) for (data,) in ask(tmp_path / "alerts.db", "SELECT data FROM events")]
    # One that was published when its process died is published once more, with the same id.
    levels = {alert["id"]: alert["level"] for alert in alerts}
    assert sorted(levels.values()) == list(range(1, EVENTS // BLOCKED_PER_LEVEL + 1))
    assert len(alerts) <= len(levels) + 2
    assert ask(tmp_path / "documents.db", "SELECT COUNT(*) FROM documents WHERE collection = 'alert_seen'") == [
        (EVENTS,)
    ]
