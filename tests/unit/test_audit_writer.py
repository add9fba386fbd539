"""The chain writer: one whole chain for each process, whatever the bus does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.audit import chain as chain_module
from shared.audit import outbox as outbox_module
from shared.audit.port import Recorded
from shared.audit.record import CHAIN_CLOSE, CHAIN_OPEN, GENESIS, INTERACTION, Record, read_record
from shared.audit.verdicts import Verification
from shared.audit.verify import Verifier
from shared.audit.writer import ChainWriter
from shared.errors import SecretNotFound, StoreUnavailable
from shared.policy.types import Audit
from tests.support.audit_events import NOW, MemoryBus, MemoryObjects, Peppers, interaction, store_all
from tests.support.virtual_time import ManualClock


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try the bus at once after a failure."""
    monkeypatch.setattr(outbox_module, "_PAUSE", 0)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


def make(bus: MemoryBus, mode: str = "fail_close", peppers: Peppers | None = None) -> ChainWriter:
    return ChainWriter(bus, peppers or Peppers(), Audit(mode=mode), ManualClock(NOW), "//wardgate/guard")


def records(bus: MemoryBus) -> list[Record]:
    return [read_record(event.data) for event in bus.events]


def check(bus: MemoryBus) -> Verification:
    objects = MemoryObjects()
    store_all(bus.events, objects)
    return Verifier(objects, {}).verify(datetime(2030, 1, 1, tzinfo=UTC))


def is_whole(found: Verification) -> bool:
    """Whether the chains are; nothing is sealed here, and admissions have made-up numbers."""
    return found.integrity.sound and gaps(found) == []


def gaps(found: Verification) -> list[str]:
    return [str(fault) for fault in found.completeness.faults.shown if fault.kind != "unrecorded"]


def test_a_chain_opens_links_and_closes(bus: MemoryBus) -> None:
    writer = make(bus)
    assert bus.events == [], "nothing happens before the first use"
    told = [writer.record(interaction(request_id=f"req_{number}")) for number in range(3)]
    writer.close()
    chain = records(bus)
    assert [record.type for record in chain] == [CHAIN_OPEN, INTERACTION, INTERACTION, INTERACTION, CHAIN_CLOSE]
    assert [record.seq for record in chain] == [0, 1, 2, 3, 4]
    assert [record.prev_event for record in chain] == [GENESIS, *(record.fingerprint for record in chain[:-1])]
    assert {record.chain_uid for record in chain} == {told[0].chain_uid}
    assert told == [Recorded(r.chain_uid, r.seq, r.fingerprint, published=True) for r in chain[1:4]]
    assert chain[0].attributes == {"wardgate.audit.mode": "fail_close"}
    found = check(bus)
    assert (found.events, found.chains, found.open_chains) == (5, 1, 0)
    assert is_whole(found)


def test_closing_twice_or_before_the_first_use_writes_nothing(bus: MemoryBus) -> None:
    writer = make(bus)
    writer.close()
    assert bus.events == []
    writer.record(interaction())
    writer.close()
    writer.close()
    assert len(bus.events) == 3
    writer.record(interaction())
    assert len({record.chain_uid for record in records(bus)}) == 2
    assert is_whole(check(bus))


@pytest.mark.parametrize("lost", ["down", "silent"])
def test_fail_close_tells_and_sends_the_very_event_again(bus: MemoryBus, lost: str) -> None:
    writer = make(bus)
    writer.record(interaction(request_id="before"))
    setattr(bus, lost, True)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            writer.record(interaction(request_id="withheld"))
    setattr(bus, lost, False)
    after = writer.record(interaction(request_id="after"))
    assert after.seq == 3, "of three attempts one took a place"
    last = records(bus)[-1]
    assert last.attributes["wardgate.audit.withheld"] == [2]
    writer.record(interaction(request_id="later"))
    assert "wardgate.audit.withheld" not in records(bus)[-1].attributes
    copies = {event.data for event in bus.events if event.id.endswith("/2")}
    assert len(copies) == 1
    assert is_whole(check(bus))


def test_fail_close_while_the_chain_opens(bus: MemoryBus) -> None:
    writer = make(bus)
    bus.down = True
    with pytest.raises(StoreUnavailable):
        writer.record(interaction())
    bus.down = False
    assert writer.record(interaction()).seq == 1
    assert [record.type for record in records(bus)] == [CHAIN_OPEN, INTERACTION]


def test_best_effort_goes_on_and_sends_later(bus: MemoryBus) -> None:
    writer = make(bus, "best_effort")
    writer.record(interaction())
    bus.down = True
    told = [writer.record(interaction()) for _ in range(5)]
    assert [each.published for each in told] == [False] * 5
    bus.down = False
    assert writer.record(interaction()).published
    assert [record.seq for record in records(bus)] == list(range(8))
    assert is_whole(check(bus))


def test_best_effort_keeps_so_much_and_its_losses_show(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "MAX_WAITING", 4)
    writer = make(bus, "best_effort")
    writer.record(interaction())
    bus.down = True
    for _ in range(10):
        writer.record(interaction())
    bus.down = False
    writer.record(interaction())
    assert [record.seq for record in records(bus)] == [0, 1, 2, 3, 4, 5, 12]
    assert [fault[:15] for fault in gaps(check(bus))] == ["gap: seq 6 to 1"]


def test_after_a_failure_the_bus_is_left_alone_for_a_moment(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "_PAUSE", 60_000_000_000)
    writer = make(bus)
    bus.down = True
    with pytest.raises(StoreUnavailable):
        writer.record(interaction())
    bus.down = False
    with pytest.raises(StoreUnavailable):
        writer.record(interaction())
    writer.close()
    assert [record.type for record in records(bus)] == [CHAIN_OPEN, CHAIN_CLOSE], "an orderly end tries once more"


def test_closing_while_the_bus_is_down_leaves_the_chain_open(bus: MemoryBus) -> None:
    writer = make(bus)
    writer.record(interaction())
    bus.down = True
    writer.close()
    assert [record.type for record in records(bus)] == [CHAIN_OPEN, INTERACTION]


def test_an_unexpected_fault_of_the_bus_leaves_the_chain_whole(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = make(bus)
    writer.record(interaction())
    with monkeypatch.context() as broken:
        broken.setattr(bus, "publish", lambda event: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            writer.record(interaction())
    writer.record(interaction())
    assert is_whole(check(bus))
    assert len(bus.events) == 4


@pytest.mark.parametrize("error", [StoreUnavailable("down"), SecretNotFound("not made yet")])
def test_without_a_pepper(bus: MemoryBus, error: Exception) -> None:
    with pytest.raises(type(error)):
        make(bus, peppers=Peppers(error)).record(interaction())
    assert bus.events == []
    assert make(bus, "best_effort", Peppers(error)).record(interaction()).published
    attributes = records(bus)[-1].attributes
    assert not any(name.endswith(".hmac") for name in attributes)
    assert "wardgate.pepper.version" not in attributes
    assert attributes["wardgate.prompt.characters"] == 19


def test_threads_share_one_chain(bus: MemoryBus) -> None:
    writer = make(bus)
    told: list[Recorded] = []
    in_threads(8, lambda: told.extend(writer.record(interaction()) for _ in range(25)))
    writer.close()
    assert sorted(each.seq for each in told) == list(range(1, 201))
    assert sorted(record.seq for record in records(bus)) == list(range(202))
    found = check(bus)
    assert (found.events, found.chains, found.open_chains) == (202, 1, 0)
    assert is_whole(found)


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking beside a thread is what this is about
def test_a_fork_begins_a_chain_even_while_a_thread_writes(bus: MemoryBus) -> None:
    writer = make(bus, "best_effort")
    writer.record(interaction())
    bus.down = True
    writer.record(interaction())
    bus.down = False
    held, release = threading.Event(), threading.Event()

    def hold_the_lock() -> None:
        with writer._lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold_the_lock)
    thread.start()
    held.wait(10)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        bus.events.clear()
        writer.record(interaction())
        os.write(writing, b"\n".join(event.data for event in bus.events))
        os._exit(0)
    release.set()
    thread.join()
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        childs = [read_record(line) for line in pipe.read().split(b"\n")]
    assert [(record.type, record.seq) for record in childs] == [(CHAIN_OPEN, 0), (INTERACTION, 1)]
    assert childs[0].chain_uid != records(bus)[0].chain_uid
