"""The sealer: each event once, whatever arrives late, wherever it is killed, however many are at work."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from shared.audit import checkpoints, sealer
from shared.audit.checkpoints import AdmissionHead, places, read_checkpoint
from shared.audit.record import parse_record
from shared.audit.sealer import Sealer
from shared.errors import StoreUnavailable
from shared.stores.events import Event
from shared.stores.folder_objects import FolderObjects
from shared.stores.objects import ObjectStore
from tests.support.audit_events import MemoryObjects, interaction, store_all
from tests.support.audit_trail import EPOCH, Trail, kinds

DAY = 86_400


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return Trail(tmp_path)


def sealed(objects: ObjectStore) -> list[tuple[str, int]]:
    """Every event under a checkpoint, in order."""
    names = objects.list(checkpoints.PREFIX)
    manifests = (read_checkpoint(objects.read(name) or b"").manifest for name in names)
    return [(place.chain_uid, place.seq) for manifest in manifests for place in places(manifest)]


def identities(events: list[Event]) -> list[tuple[str, int]]:
    return [(record.chain_uid, record.seq) for record in (parse_record(event.data) for event in events)]


def test_nothing_is_sealed_where_nothing_is(trail: Trail) -> None:
    assert trail.seal().checkpoints == ()
    assert trail.verify().sound


def test_what_is_new_is_sealed_once(trail: Trail) -> None:
    first = trail.numbered(5)
    assert trail.seal() == sealer.SealReport((0,), 7, 0, outrun=False, more=False)
    assert trail.seal().checkpoints == ()
    second = trail.numbered(2)
    assert trail.seal().checkpoints == (1,)
    assert sealed(trail.objects) == identities(first) + identities(second)
    assert trail.verify().sound


def test_what_arrives_late_is_in_the_next_checkpoint(trail: Trail) -> None:
    events = trail.numbered(9, store=False)
    store_all([*events[:2], *events[4:7]], trail.objects)
    assert trail.seal().events == 5
    store_all([events[3], events[8]], trail.objects)
    assert trail.seal().events == 2
    store_all(events, trail.objects)
    assert trail.seal().events == 4
    assert trail.seal().checkpoints == ()
    assert sorted(sealed(trail.objects)) == sorted(identities(events))
    assert trail.verify().sound


def test_chains_go_on_over_days(trail: Trail) -> None:
    events: list[Event] = []
    for _ in range(3):
        events += trail.chain(*(interaction(admission_seq=None) for _ in range(3)), close=False)
        trail.clock.advance(DAY)
        trail.seal()
    assert sealed(trail.objects) == identities(events)
    assert trail.verify().anchoring.sound


def test_a_chain_whose_beginning_comes_a_day_late(trail: Trail) -> None:
    events = trail.chain(interaction(), store=False)
    trail.clock.advance(DAY)
    store_all(events[2:], trail.objects)
    assert trail.seal().events == 1
    store_all(events, trail.objects)
    assert trail.seal().events == 2


def test_days_long_past_are_looked_at_when_asked(trail: Trail) -> None:
    early = trail.chain(interaction(admission_seq=None))
    late = trail.chain(interaction(admission_seq=None), store=False)
    trail.seal()
    trail.clock.advance(20 * DAY)
    trail.chain(interaction(admission_seq=None))
    trail.seal()
    store_all(late, trail.objects)
    assert trail.seal().checkpoints == ()
    assert kinds(trail.verify()) == {"anchoring": {"unsealed"}}
    assert trail.seal(since=date(2026, 11, 1)).events == 3
    assert trail.verify().sound
    found = sealed(trail.objects)
    assert len(found) == len(set(found))
    assert set(identities(early) + identities(late)) <= set(found)


def test_a_backlog_is_sealed_in_several_checkpoints(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer, "MAX_EVENTS", 70)
    monkeypatch.setattr(sealer, "_AT_ONCE", 16)
    events = [event for _ in range(40) for event in trail.chain(interaction(), interaction())]
    assert trail.seal(seconds=0).more
    report = trail.seal()
    assert (report.more, len(report.checkpoints)) == (False, 2)
    assert sorted(sealed(trail.objects)) == sorted(identities(events))
    headers = [read_checkpoint(trail.objects.read(f"checkpoints/{n:016d}.json") or b"").header for n in range(3)]
    assert [header.size for header in headers] == [64, 64, 32]
    assert [header.total for header in headers] == [64, 128, 160]


def test_a_backlog_of_years_is_sealed_in_steps(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer, "MAX_EVENTS", 16)
    monkeypatch.setattr(sealer, "_AT_ONCE", 8)
    events: list[Event] = []
    for _ in range(10):
        events += trail.chain(interaction(admission_seq=None), interaction(admission_seq=None))
        trail.clock.advance(50 * DAY)
    calls = 0
    while trail.seal(seconds=0).more:
        calls += 1
    assert calls >= 2
    assert sealed(trail.objects) == identities(events)


def test_what_is_no_record_is_refused_once_and_named(trail: Trail) -> None:
    events = trail.numbered(3)
    names = [trail.name(event) for event in events]
    trail.memory.objects[names[1]] = b"garbage"
    trail.memory.objects[names[2]] = trail.memory.objects[names[3]]
    trail.memory.objects["archive/2026/11/18/stranger.json"] = b"x"
    trail.memory.objects["archive/2026/11/18/" + "a" * 32 + "/stranger.json"] = b"x"
    assert trail.seal().refused == 2
    assert trail.seal().refused == 0
    found = kinds(trail.verify())
    assert found["integrity"] == {"unreadable", "misplaced", "duplicate"}


def test_the_last_numbers_of_admission_are_sealed(trail: Trail) -> None:
    trail.numbered(5)
    trail.numbered(3, key="key-2")
    trail.seal()
    assert heads(trail, 0) == [("key-1", EPOCH, 5, False), ("key-2", EPOCH, 3, False)]
    assert trail.seal().checkpoints == ()
    trail.clock.advance(900)
    assert trail.seal().checkpoints == (1,), "the epoch is over"
    assert heads(trail, 1) == [("key-1", EPOCH, 5, True), ("key-2", EPOCH, 3, True)]
    assert trail.seal().checkpoints == ()


def heads(trail: Trail, number: int) -> list[Any]:
    header = read_checkpoint(trail.objects.read(f"checkpoints/{number:016d}.json") or b"").header
    return [(head.key_id, head.epoch, head.last, head.final) for head in header.admission]


def test_events_are_sealed_while_numbers_cannot_be_read(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: Any) -> int:
        raise StoreUnavailable("down")

    trail.numbered(5)
    with monkeypatch.context() as patched:
        patched.setattr("shared.audit.epochs.last_number", unavailable)
        assert trail.seal().events == 7
    assert heads(trail, 0) == []
    trail.clock.advance(900)
    trail.seal()
    assert heads(trail, 1) == [("key-1", EPOCH, 5, True)]


def test_lost_tables_are_made_again_from_the_manifests(trail: Trail) -> None:
    trail.numbered(5)
    trail.seal()
    for name in [name for name in trail.memory.objects if name.startswith(("positions/", "epochs/"))]:
        del trail.memory.objects[name]
    trail.numbered(2)
    assert trail.seal().events == 4
    assert trail.verify().sound


def test_a_checkpoint_that_was_deleted_is_not_given_to_another(trail: Trail) -> None:
    for _ in range(3):
        trail.numbered(2)
        trail.seal()
    del trail.memory.objects[checkpoints.object_name(2)]
    trail.numbered(2)
    assert trail.seal().checkpoints == (3,)
    assert kinds(trail.verify()) == {"anchoring": {"checkpoint_missing"}}


def test_garbage_in_the_place_of_a_checkpoint_stops_nobody(trail: Trail) -> None:
    trail.numbered(2)
    trail.seal()
    trail.memory.objects[checkpoints.object_name(1)] = b"garbage"
    trail.numbered(2)
    assert trail.seal().events == 4
    assert kinds(trail.verify())["anchoring"] == {"checkpoint_malformed"}
    del trail.memory.objects[checkpoints.object_name(1)]
    found = sealed(trail.objects)
    assert len(found) == len(set(found)) == 8


class Dying:
    """An object store under a process that is killed at one of its calls, before or after it took effect."""

    def __init__(self, objects: ObjectStore, at: int, *, after: bool) -> None:
        self._objects = objects
        self._left = at
        self._after = after
        self._lock = threading.Lock()

    def create(self, name: str, data: bytes) -> bool:
        with self._lock:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            done = self._objects.create(name, data)
            if self._left == 0:
                raise Killed
            return done

    def read(self, name: str) -> bytes | None:
        return self._objects.read(name)

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        return self._objects.list(prefix, after=after)

    def folders(self, prefix: str) -> Iterator[str]:
        return self._objects.folders(prefix)


class Killed(BaseException):
    """As good as kill -9: nobody catches it."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 10))
def test_killed_at_any_write_the_next_goes_on(
    trail: Trail, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    monkeypatch.setattr(sealer, "MAX_EVENTS", 16)
    monkeypatch.setattr(sealer, "_AT_ONCE", 8)
    events = trail.numbered(30)
    dying = Sealer(Dying(trail.objects, at, after=after), trail.documents, trail.signer, trail.clock)
    try:
        dying.seal()
    except Killed:
        pass
    else:
        assert at > 8
    events += trail.numbered(3)
    trail.seal()
    assert sorted(sealed(trail.objects)) == sorted(identities(events))
    assert len(sealed(trail.objects)) == len(events)
    assert trail.verify().sound
    assert trail.verify(from_segments=True).sound


def test_killed_before_it_registers_the_next_goes_on(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    trail.numbered(3)
    with monkeypatch.context() as patched:
        patched.setattr(sealer, "register_checkpoint", killed)
        with pytest.raises(Killed):
            trail.seal()
    trail.numbered(3)
    assert trail.seal().checkpoints == (1,)
    assert trail.verify().sound


def test_of_sealers_at_once_one_wins_each_number(tmp_path: Path) -> None:
    trail = Trail(tmp_path, FolderObjects(tmp_path / "objects"))
    chance = random.Random(7)
    events: list[Event] = []
    for _ in range(6):
        fresh = trail.numbered(chance.randint(1, 30), store=False)
        events += fresh
        store_all(fresh[: len(fresh) // 2], trail.objects)
        threads = [threading.Thread(target=trail.seal) for _ in range(3)]
        for thread in threads:
            thread.start()
        store_all(fresh, trail.objects)
        for thread in threads:
            thread.join()
    trail.seal()
    assert sorted(sealed(trail.objects)) == sorted(identities(events))
    assert trail.verify().sound
    assert trail.verify(from_segments=True).sound


@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_arrival_and_sealing(tmp_path: Path, seed: int) -> None:
    """Events of many chains and days in any order, with seals in between: each is sealed exactly once."""
    chance = random.Random(seed)
    trail = Trail(tmp_path)
    events: list[Event] = []
    for _ in range(6):
        count = chance.randint(1, 6)
        calls = [interaction(admission_seq=None) for _ in range(count)]
        events += trail.chain(*calls, close=chance.random() < 0.7, store=False)
        trail.clock.advance(chance.choice([1, 3600, DAY]))
    chance.shuffle(events)
    while events_left := events[len(sealed_or_stored(trail)) :]:
        store_all(events_left[: chance.randint(1, 9)], trail.objects)
        trail.seal()
    found = sealed(trail.objects)
    assert sorted(found) == sorted(identities(events))
    assert trail.verify().sound


def sealed_or_stored(trail: Trail) -> list[str]:
    return [name for name in trail.memory.objects if name.startswith("archive/")]


def test_a_seal_lists_no_more_than_it_must(trail: Trail) -> None:
    """The work of a seal depends on what is new and on the chains of the last days, not on the events before."""

    class Counting(MemoryObjects):
        listed = 0

        def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
            for name in super().list(prefix, after=after):
                Counting.listed += 1
                yield name

    trail.memory = Counting()
    trail.objects = trail.memory
    trail.numbered(300, close=False)
    trail.numbered(300)
    trail.seal()
    trail.numbered(2)
    Counting.listed = 0
    assert trail.seal().events == 4
    assert Counting.listed <= 10


def test_the_statement_that_is_signed_says_what_it_is() -> None:
    assert checkpoints.statement(7, "ab") == b"wardgate audit checkpoint 7\nab\n"


def test_a_checkpoint_is_what_the_documentation_says(trail: Trail) -> None:
    events = trail.numbered(1)
    trail.seal()
    stored = json.loads(trail.objects.read(checkpoints.object_name(0)) or b"")
    assert stored.keys() == {"header", "manifest", "signature", "key"}
    uid = identities(events)[0][0]
    fingerprints = [parse_record(event.data).fingerprint for event in events]
    assert stored["manifest"] == [["2026-11-18", uid, 0, fingerprints]]
    assert stored["header"]["previous"] == "0" * 64
    assert (
        AdmissionHead("key-1", EPOCH, 1, final=False)
        in read_checkpoint(trail.objects.read(checkpoints.object_name(0)) or b"").header.admission
    )
