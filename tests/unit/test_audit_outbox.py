"""Publishing side by side, journals that outlive their process, heads, streams and counted denials."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.audit import chain as chain_module
from shared.audit import heads as heads_module
from shared.audit import journal as journal_module
from shared.audit import outbox as outbox_module
from shared.audit.heads import Heads
from shared.audit.journal import Journals
from shared.audit.port import Started, TurnedAway, Unacknowledged
from shared.audit.record import (
    CHAIN_CLOSE,
    CHAIN_OPEN,
    DENIALS,
    INTERACTION,
    INTERACTION_STARTED,
    Record,
    read_record,
)
from shared.audit.verdicts import Verification
from shared.audit.verify import Verifier
from shared.audit.writer import ChainWriter
from shared.errors import StoreUnavailable
from shared.policy.types import Audit
from shared.stores.events import Event
from shared.stores.spool import SpoolQueue
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.audit_events import CALLER, NOW, MemoryBus, MemoryObjects, Peppers, interaction, store_all
from tests.support.virtual_time import ManualClock

STARTED = Started("req_1", "chat.completions", CALLER, "d" * 64, NOW, prompt="Hello", model="default")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try stores at once after a failure."""
    monkeypatch.setattr(outbox_module, "_PAUSE", 0)
    monkeypatch.setattr(heads_module, "_PAUSE", 0)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path / "journals")


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.db", timeout_seconds=2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def make(bus: Any, mode: str = "fail_close", clock: ManualClock | None = None, **more: Any) -> ChainWriter:
    return ChainWriter(bus, Peppers(), Audit(mode=mode), clock or ManualClock(NOW), "//wardgate/guard", **more)


def records(bus: MemoryBus) -> list[Record]:
    """Each once, in the chain's order."""
    unique = {event.id: read_record(event.data) for event in bus.events}
    return sorted(unique.values(), key=lambda record: record.seq)


def check(bus: MemoryBus) -> Verification:
    objects = MemoryObjects()
    store_all(bus.events, objects)
    return Verifier(objects, {}).verify(datetime(2030, 1, 1, tzinfo=UTC))


def is_whole(bus: MemoryBus) -> bool:
    """Whether nothing is altered or missing; the admission numbers of these interactions are made up."""
    found = check(bus)
    missing = {fault.kind for fault in found.completeness.faults.shown} - {"unrecorded"}
    return found.integrity.sound and not missing


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- side by side -------------------------------------------------------------------------------


def test_as_many_events_are_under_way_as_there_are_requests(bus: MemoryBus) -> None:
    together = threading.Barrier(8, timeout=20)

    class Slow:
        def publish(self, event: Event) -> None:
            if event.type == INTERACTION:
                together.wait()
            bus.publish(event)

    writer = make(Slow())
    in_threads(8, lambda: writer.record(interaction()))
    writer.close()
    assert [record.seq for record in records(bus)] == list(range(10))
    assert is_whole(bus)


@pytest.mark.parametrize("mode", ["fail_close", "best_effort"])
def test_a_bus_that_fails_at_random_loses_nothing(bus: MemoryBus, journals: Journals, mode: str) -> None:
    calls = iter(range(10**9))

    class Flaky:
        def publish(self, event: Event) -> None:
            number = next(calls)
            if number % 7 != 3:
                bus.events.append(event)
            if number % 5 == 2 or number % 7 == 3:
                raise StoreUnavailable("no")

    writer = make(Flaky(), mode, journals=journals)
    told, withheld = [], []

    def work() -> None:
        for _ in range(30):
            try:
                told.append(writer.record(interaction()).seq)
            except Unacknowledged as error:
                withheld.append(error.recorded.seq)
            except StoreUnavailable:
                pass

    in_threads(8, work)
    while writer._chain.failed:
        writer._outbox.catch_up(writer._chain)
    writer.close()
    chain = records(bus)
    assert is_whole(bus)
    named = [seq for record in chain for seq in record.attributes.get("wardgate.audit.withheld", [])]
    assert sorted(named) == sorted(withheld)
    assert {record.seq for record in chain if record.type == INTERACTION} == {*told, *withheld}


# --- journals -----------------------------------------------------------------------------------


def left(journals: Journals) -> list[str]:
    return [event.id for each in journals.left_behind() for event in each.events()]


def test_a_journal_is_there_while_it_is_needed(bus: MemoryBus, journals: Journals, tmp_path: Path) -> None:
    writer = make(bus, journals=journals)
    assert not (tmp_path / "journals").exists(), "nothing happens before the first use"
    writer.record(interaction())
    (file,) = (tmp_path / "journals").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert left(journals) == [], "its process lives"
    writer.close()
    assert list((tmp_path / "journals").iterdir()) == []


def test_what_one_process_could_not_send_the_next_one_sends(bus: MemoryBus, journals: Journals) -> None:
    writer = make(bus, "best_effort", journals=journals)
    writer.record(interaction())
    bus.down = True
    for _ in range(3):
        writer.record(interaction())
    writer.close()
    bus.down = False
    assert len(bus.events) == 2
    later = make(bus, journals=journals)
    later.record(interaction())
    later.record(interaction())
    later.close()
    assert left(journals) == []
    first = bus.events[0].id.split("/")[0]
    assert [event.id for event in bus.events if event.id.startswith(first)] == [f"{first}/{seq}" for seq in range(6)]
    assert is_whole(bus)


def test_while_the_bus_is_down_only_the_journal_grows(
    bus: MemoryBus, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "MAX_WAITING", 4)
    writer = make(bus, "best_effort", journals=journals)
    writer.record(interaction())
    bus.down = True
    for _ in range(20):
        writer.record(interaction())
    assert sum(waiting.event is not None for waiting in writer._chain.pending.values()) <= 4
    bus.down = False
    assert writer.record(interaction()).published
    writer.close()
    assert [record.seq for record in records(bus)] == list(range(24))
    assert is_whole(bus)


def test_a_journal_stays_small(
    bus: MemoryBus, journals: Journals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "COMPACT_BYTES", 20_000)
    writer = make(bus, "best_effort", journals=journals)
    writer.record(interaction())
    stuck = writer._chain.append(INTERACTION, chain_module.msgspec.Raw(b"{}"), NOW)
    for _ in range(100):
        writer.record(interaction())
    (file,) = (tmp_path / "journals").glob("*.journal")
    assert file.stat().st_size < 30_000
    assert writer._chain.journal is not None
    assert stuck.place is not None
    assert stuck.event is not None
    assert writer._chain.journal.read(stuck.place, stuck.length) == stuck.event.data


def test_a_full_journal_loses_nothing_that_the_bus_takes(
    bus: MemoryBus, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_BYTES", 5000)
    writer = make(bus, journals=journals)
    for _ in range(20):
        writer.record(interaction())
    writer.close()
    assert is_whole(bus)
    assert check(bus).events == 22


def test_without_a_folder_there_is_no_journal(bus: MemoryBus, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = make(bus, journals=Journals(tmp_path / "file" / "journals"))
    writer.record(interaction())
    writer.record(interaction())
    writer.close()
    assert is_whole(bus)


@pytest.mark.parametrize("damage", [b"+{", b"+not a record\n", b"-notanumber\n\x00\x00", b"\n\n+"])
def test_a_damaged_journal_gives_what_is_whole(bus: MemoryBus, journals: Journals, damage: bytes) -> None:
    journal = journals.open("a" * 32)
    writer = make(bus)
    writer.record(interaction())
    writer.record(interaction())
    for event in bus.events:
        journal.write(event.data)
    journal.acknowledged(0)
    journal.write(bus.events[2].data)
    os.write(journal._descriptor, damage)
    journal.close(needed=True)
    assert left(journals) == [bus.events[1].id, bus.events[2].id]


PROCESS = """
import os, sys, threading, time
from pathlib import Path
from shared.audit.journal import Journals
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.policy.types import Audit
from shared.stores.spool import SpoolBus
from tests.support.audit_events import Peppers, interaction

class Late(SpoolBus):
    def publish(self, event):
        time.sleep(0.002 * (hash(event.id) % 5))
        super().publish(event)

home = Path(sys.argv[1])
writer = ChainWriter(Late(home / "spool.db"), Peppers(), Audit(), SystemClock(), "//wardgate/guard",
                     journals=Journals(home / "journals"))
def work():
    while True:
        os.write(1, b"%d\\n" % writer.record(interaction()).seq)
for _ in range(6):
    threading.Thread(target=work).start()
"""


def test_a_process_killed_with_events_under_way_leaves_no_gap(bus: MemoryBus, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(60)]
    process.send_signal(signal.SIGKILL)
    acknowledged += map(int, process.communicate()[0].split())
    queue = SpoolQueue(tmp_path / "spool.db")
    queue.fan_out(["memory"])
    bus.events += [delivery.event for delivery in queue.due("memory", time.time_ns(), 10_000)]
    queue.close()
    make(bus, journals=Journals(tmp_path / "journals")).record(interaction())
    killed = bus.events[0].id.split("/")[0]
    found = [record.seq for record in records(bus) if record.chain_uid == killed]
    assert found == list(range(len(found)))
    assert set(acknowledged) <= set(found)
    assert is_whole(bus)
    assert check(bus).chains == 2


def test_a_fork_leaves_the_parents_journal_alone(bus: MemoryBus, journals: Journals) -> None:
    writer = make(bus, "best_effort", journals=journals)
    writer.record(interaction())
    bus.down = True
    writer.record(interaction())
    child = os.fork()
    if not child:
        bus.down = False
        before = len(bus.events)
        writer.record(interaction())
        writer.close()
        ids = {event.id.split("/")[0] for event in bus.events[before:]}
        os._exit(0 if len(bus.events) - before == 3 and len(ids) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert left(journals) == []
    bus.down = False
    writer.record(interaction())
    writer.close()
    assert [record.seq for record in records(bus)] == list(range(5))


# --- heads --------------------------------------------------------------------------------------


def heads_of(documents: SqliteDocuments) -> list[dict[str, Any]]:
    return [dict(document.fields) for document in documents.list("audit_heads")]


def test_heads_are_registered_at_the_beginning_every_sixteen_and_at_the_end(
    bus: MemoryBus, documents: SqliteDocuments
) -> None:
    writer = make(bus, heads=Heads(documents))
    seen = []
    for _ in range(40):
        writer.record(interaction())
        (head,) = heads_of(documents)
        seen.append(head["seq"])
    writer.close()
    chain = records(bus)
    assert sorted(set(seen)) == [0, 16, 32]
    assert [seen.count(seq) for seq in (0, 16, 32)] == [16, 16, 8]
    (head,) = heads_of(documents)
    expected = {"seq": 41, "fingerprint": chain[-1].fingerprint, "opened_at": chain[0].time, "closed": True}
    assert head == expected
    assert [document.id for document in documents.list("audit_heads")] == [chain[0].chain_uid]


def test_a_head_claims_only_what_the_bus_has(bus: MemoryBus, documents: SqliteDocuments) -> None:
    writer = make(bus, "best_effort", heads=Heads(documents))
    writer.record(interaction())
    bus.down = True
    for _ in range(50):
        writer.record(interaction())
    writer.close()
    (head,) = heads_of(documents)
    assert (head["seq"], head["closed"]) == (1, False)
    assert head["fingerprint"] == records(bus)[1].fingerprint


def test_a_registry_that_fails_fails_no_request_and_is_tried_again(
    bus: MemoryBus, documents: SqliteDocuments, capfd: pytest.CaptureFixture[str]
) -> None:
    class Failing:
        down = True

        def commit(self, writes: Any) -> Any:
            if self.down:
                raise StoreUnavailable("no")
            return documents.commit(writes)

    store = Failing()
    writer = make(bus, heads=Heads(store))  # type: ignore[arg-type]  # only commits
    writer.record(interaction())
    assert "audit.head_unregistered" in capfd.readouterr().err
    store.down = False
    writer.record(interaction())
    assert [head["seq"] for head in heads_of(documents)] == [1]


def test_threads_never_turn_a_head_back(bus: MemoryBus, documents: SqliteDocuments) -> None:
    writer = make(bus, heads=Heads(documents))
    in_threads(8, lambda: [writer.record(interaction()) for _ in range(30)])
    (head,) = heads_of(documents)
    assert 200 < head["seq"] <= 240
    writer.close()
    assert heads_of(documents)[0]["seq"] == 241


# --- streams ------------------------------------------------------------------------------------


def test_an_end_names_its_beginning(bus: MemoryBus) -> None:
    writer = make(bus)
    first, second = writer.start(STARTED), writer.start(STARTED)
    writer.record(interaction(started=second))
    writer.record(interaction())
    writer.record(interaction(started=first))
    writer.close()
    chain = records(bus)
    assert [record.type for record in chain[1:3]] == [INTERACTION_STARTED] * 2
    assert [record.attributes.get("wardgate.started.seq") for record in chain[3:6]] == [2, None, 1]
    known = chain[1].attributes
    assert (known["wardgate.prompt.hmac"] == make(bus) and False) or len(known["wardgate.prompt.hmac"]) == 64
    assert (known["wardgate.request.id"], known["gen_ai.request.model"]) == ("req_1", "default")
    assert chain[-1].type == CHAIN_CLOSE


def test_the_end_of_a_stream_always_has_its_place(bus: MemoryBus) -> None:
    writer = make(bus)
    acknowledged = writer.start(STARTED)
    bus.down = True
    with pytest.raises(Unacknowledged) as begun:
        writer.start(STARTED)
    for started in (acknowledged, begun.value.recorded):
        with pytest.raises(Unacknowledged):
            writer.record(interaction(started=started))
    with pytest.raises(StoreUnavailable) as refused:
        writer.record(interaction())
    assert not isinstance(refused.value, Unacknowledged)
    bus.down = False
    writer.close()
    chain = records(bus)
    assert [record.attributes.get("wardgate.started.seq") for record in chain[3:5]] == [1, 2]
    assert chain[5].type == CHAIN_CLOSE
    assert [seq for record in chain for seq in record.attributes.get("wardgate.audit.withheld", [])] == [2, 3, 4]


def test_a_chain_whose_streams_run_on_is_not_closed(bus: MemoryBus) -> None:
    writer = make(bus)
    started = writer.start(STARTED)
    writer.close()
    writer.record(interaction(started=started))
    writer.close()
    uid = bus.events[0].id.split("/")[0]
    assert [event.type for event in bus.events if event.id.startswith(uid)] == [CHAIN_OPEN, INTERACTION_STARTED]
    assert all("wardgate.started.seq" not in record.attributes for record in records(bus))


# --- counted ------------------------------------------------------------------------------------

DENIED = TurnedAway("acme", "key-1", "denied", limit="requests-per-minute")
REFUSED = TurnedAway("acme", "key-1", "refused", error="invalid_request")


def counted(bus: MemoryBus) -> list[tuple[str, int, str, str]]:
    return [
        (
            record.attributes["wardgate.denials.decision"],
            record.attributes["wardgate.denials.count"],
            record.attributes["wardgate.denials.first_at"][17:23],
            record.attributes["wardgate.denials.last_at"][17:23],
        )
        for record in records(bus)
        if record.type == DENIALS
    ]


def test_the_first_is_told_at_once_and_the_others_together(bus: MemoryBus, clock: ManualClock) -> None:
    writer = make(bus, clock=clock)
    for _ in range(5):
        writer.turned_away(DENIED)
        clock.advance(1)
    writer.turned_away(REFUSED)
    assert counted(bus) == [("denied", 1, "40.123", "40.123"), ("refused", 1, "45.123", "45.123")]
    clock.advance(5.5)
    writer.record(interaction())
    assert counted(bus)[2:] == [("denied", 4, "41.123", "44.123")], "with anybody's next request"
    writer.turned_away(DENIED)
    assert len(counted(bus)) == 3
    writer.close()
    assert counted(bus)[3:] == [("denied", 1, "50.623", "50.623")], "or at the end"
    first = next(record for record in records(bus) if record.type == DENIALS).attributes
    assert first["wardgate.denials.limit"] == "requests-per-minute"
    assert first["wardgate.key.id"] == "key-1"
    assert is_whole(bus)


def test_a_flood_costs_one_event_for_each_key_and_ten_seconds(bus: MemoryBus, clock: ManualClock) -> None:
    writer = make(bus, clock=clock)
    for _ in range(3000):
        clock.advance(0.01)
        writer.turned_away(DENIED)
    writer.close()
    assert len(counted(bus)) <= 4
    assert sum(count for _, count, _, _ in counted(bus)) == 3000


def test_counts_wait_for_a_bus_that_is_down(bus: MemoryBus, clock: ManualClock) -> None:
    writer = make(bus, clock=clock)
    writer.record(interaction())
    bus.down = True
    with pytest.raises(StoreUnavailable):
        writer.record(interaction())
    for _ in range(3):
        writer.turned_away(DENIED)
        clock.advance(11)
    bus.down = False
    writer.turned_away(DENIED)
    writer.close()
    assert sum(count for _, count, _, _ in counted(bus)) == 4
    assert is_whole(bus)


def test_a_child_does_not_tell_its_parents_counts(bus: MemoryBus) -> None:
    writer = make(bus)
    writer.turned_away(DENIED)
    writer.turned_away(DENIED)
    child = os.fork()
    if not child:
        before = len(bus.events)
        writer.close()
        os._exit(len(bus.events) - before)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.close()
    assert sum(count for _, count, _, _ in counted(bus)) == 2
