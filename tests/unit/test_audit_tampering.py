"""Every way to tamper with the trail is found, by the verdict that should find it, from either source."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.audit import checkpoints
from shared.audit.record import parse_record, seal
from shared.audit.sorting import SortedLines
from shared.errors import StoreUnavailable
from shared.stores.documents import Write
from shared.stores.events import Event
from tests.support.audit_events import NOW, interaction, store_all
from tests.support.audit_trail import EPOCH, KeySigner, Trail, kinds


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Three chains under two checkpoints, with the numbers of two keys."""
    trail = Trail(tmp_path)
    trail.chains["first"] = trail.numbered(6)
    trail.seal()
    trail.chains["second"] = trail.numbered(5, key="key-2")
    trail.chains["third"] = trail.numbered(4)
    trail.seal()
    return trail


def forged(data: bytes, **changes: Any) -> bytes:
    """A record with other attributes, and a fingerprint that fits them."""
    record = json.loads(data)
    record["attributes"].update(changes)
    when = datetime.fromisoformat(record["time"])
    made = seal(
        record["type"],
        record["attributes"],
        source=record["source"],
        time=int(when.timestamp()) * 10**9 + when.microsecond * 1000,
        chain_uid=record["chain_uid"],
        seq=record["seq"],
        prev_event=record["prev_event"],
    )
    return made.event.data


def alter(trail: Trail, events: list[Event]) -> None:
    name = trail.name(events[2])
    trail.memory.objects[name] = trail.memory.objects[name].replace(b'"answered"', b'"blocked!"')


def rehash(trail: Trail, events: list[Event]) -> None:
    name = trail.name(events[2])
    trail.memory.objects[name] = forged(events[2].data, **{"wardgate.decision": "blocked"})


def rehash_to_the_end(trail: Trail, events: list[Event]) -> None:
    """Alter a record and make everything after it fit again."""
    previous = ""
    for event in events[2:]:
        record = json.loads(event.data)
        record["prev_event"] = previous or record["prev_event"]
        record["attributes"]["wardgate.decision"] = "blocked"
        data = forged(json.dumps(record).encode())
        previous = parse_record(data).fingerprint
        trail.memory.objects[trail.name(event)] = data


def delete_one(trail: Trail, events: list[Event]) -> None:
    del trail.memory.objects[trail.name(events[2])]


def delete_tail(trail: Trail, events: list[Event]) -> None:
    for event in events[3:]:
        del trail.memory.objects[trail.name(event)]


def drop_chain(trail: Trail, events: list[Event]) -> None:
    for event in events:
        del trail.memory.objects[trail.name(event)]


def reorder(trail: Trail, events: list[Event]) -> None:
    """Two events change their places in the chain, with numbers and fingerprints that fit."""
    records = [json.loads(event.data) for event in events[2:4]]
    names = [trail.name(event) for event in events[2:4]]
    for name, place, content in zip(names, records, records[::-1], strict=True):
        moved = {**content, "seq": place["seq"], "prev_event": place["prev_event"], "time": place["time"]}
        trail.memory.objects[name] = forged(json.dumps(moved).encode())


def exchange(trail: Trail, events: list[Event]) -> None:
    """Two objects change their names."""
    objects, one, other = trail.memory.objects, trail.name(events[2]), trail.name(events[3])
    objects[one], objects[other] = objects[other], objects[one]


def duplicate(trail: Trail, events: list[Event]) -> None:
    name = trail.name(events[2])
    trail.memory.objects[name.replace("/2026/", "/2027/")] = trail.memory.objects[name]


def swap_subjects(trail: Trail, events: list[Event]) -> None:
    """Two events change who made them, with fingerprints that fit."""
    for event, key in ((events[1], "key-9"), (events[2], "key-1")):
        trail.memory.objects[trail.name(event)] = forged(event.data, **{"wardgate.key.id": key})


def garble(trail: Trail, events: list[Event]) -> None:
    trail.memory.objects[trail.name(events[2])] = b"\0not json"


INTEGRITY, COMPLETENESS, ANCHORING = "integrity", "completeness", "anchoring"


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (alter, {INTEGRITY: {"altered"}}),
        (rehash, {INTEGRITY: {"rewritten", "broken_link"}}),
        (rehash_to_the_end, {INTEGRITY: {"rewritten"}}),
        (delete_one, {COMPLETENESS: {"lost", "unrecorded"}}),
        (delete_tail, {COMPLETENESS: {"lost", "unrecorded"}}),
        (drop_chain, {COMPLETENESS: {"lost"}}),
        (reorder, {INTEGRITY: {"rewritten", "broken_link"}}),
        (exchange, {INTEGRITY: {"misplaced"}}),
        (duplicate, {INTEGRITY: {"misplaced", "duplicate"}}),
        (swap_subjects, {INTEGRITY: {"rewritten", "broken_link"}}),
        (garble, {INTEGRITY: {"unreadable"}, COMPLETENESS: {"lost", "unrecorded"}}),
    ],
)
@pytest.mark.parametrize("chain", ["first", "second"])
def test_tampering_with_sealed_events(
    trail: Trail, tamper: Callable[[Trail, list[Event]], None], expected: dict[str, set[str]], chain: str
) -> None:
    assert trail.verify().sound
    tamper(trail, trail.chains[chain])
    found = kinds(trail.verify())
    assert found.keys() >= expected.keys()
    for verdict, wanted in expected.items():
        assert wanted <= found[verdict], found
    assert ANCHORING not in found


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (alter, (INTEGRITY, "altered")),
        (rehash, (INTEGRITY, "broken_link")),
        (rehash_to_the_end, (INTEGRITY, "rewritten")),  # the registered head is another
        (delete_one, (COMPLETENESS, "gap")),
        (delete_tail, (COMPLETENESS, "lost_tail")),
        (drop_chain, (COMPLETENESS, "lost_chain")),
        (reorder, (INTEGRITY, "broken_link")),
        (exchange, (INTEGRITY, "misplaced")),
        (duplicate, (INTEGRITY, "misplaced")),
        (swap_subjects, (INTEGRITY, "broken_link")),
    ],
)
def test_tampering_before_the_first_seal(
    tmp_path: Path, tamper: Callable[[Trail, list[Event]], None], expected: tuple[str, str]
) -> None:
    trail = Trail(tmp_path)
    events = trail.numbered(6)
    trail.numbered(3, key="key-2")
    tamper(trail, events)
    verdict, kind = expected
    assert kind in kinds(trail.verify())[verdict]


def test_the_tail_that_no_writer_registered_is_found_by_the_admission_numbers(tmp_path: Path) -> None:
    """What happened after the last registered head is anchored by the limits' own counting, once that is sealed."""
    trail = Trail(tmp_path)
    events = trail.numbered(9, registered=False)
    uid = parse_record(events[0].data).chain_uid
    trail.register(events[:5])
    for event in events[6:]:
        del trail.memory.objects[trail.name(event)]
    trail.seal()
    found = trail.verify()
    assert kinds(found) == {}  # it may have been killed; so it is said, and excused
    assert [str(each) for each in found.completeness.excused.shown] == [
        f"unrecorded: admission seq 6 to 9 of key key-1 in epoch {EPOCH} (chain {uid})"
        f" [a process was killed at that time: chain {uid} was never closed]"
    ]


# --- checkpoints ----------------------------------------------------------------------------------


def stored(trail: Trail, number: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(trail.memory.objects[checkpoints.object_name(number)])
    return document


def put(trail: Trail, number: int, document: dict[str, Any], signer: KeySigner | None = None) -> None:
    """Store a checkpoint, signed anew by somebody."""
    header = json.dumps(document["header"], sort_keys=True, separators=(",", ":")).encode()
    if signer is not None:
        digest = checkpoints.encode_header(checkpoints._decode_header(header))[1]
        manifest = checkpoints._decode(json.dumps(document).encode()).manifest
        signature = signer.sign(checkpoints.statement(document["header"]["number"], digest))
        data = checkpoints.encode_checkpoint(header, manifest, signature)
    else:
        data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    trail.memory.objects[checkpoints.object_name(number)] = data


def drop_first(trail: Trail) -> None:
    del trail.memory.objects[checkpoints.object_name(0)]


def drop_last(trail: Trail) -> None:
    del trail.memory.objects[checkpoints.object_name(1)]


def another_key(trail: Trail) -> None:
    put(trail, 1, stored(trail, 1), KeySigner(2))


def another_key_under_a_trusted_name(trail: Trail) -> None:
    another_key(trail)
    document = stored(trail, 1)
    document["key"] = stored(trail, 0)["key"]
    put(trail, 1, document)


def rewrite_header(trail: Trail) -> None:
    document = stored(trail, 1)
    document["header"]["time"] = "2026-01-01T00:00:00.000000Z"
    put(trail, 1, document)


def rewrite_manifest(trail: Trail) -> None:
    document = stored(trail, 1)
    document["manifest"][0][3][1] = "0" * 64
    put(trail, 1, document)


def shorten_manifest(trail: Trail) -> None:
    document = stored(trail, 1)
    document["manifest"][0][3].pop()
    put(trail, 1, document)


def replay_signature(trail: Trail) -> None:
    document = stored(trail, 1)
    document["signature"] = stored(trail, 0)["signature"]
    put(trail, 1, document)


def rewrite_the_first_with_the_key(trail: Trail) -> None:
    """Whoever holds the key can sign another history, but not under the checkpoint that follows."""
    document = stored(trail, 0)
    document["header"]["time"] = "2026-01-01T00:00:00.000000Z"
    put(trail, 0, document, trail.signer)


def rewrite_the_last_with_the_key(trail: Trail) -> None:
    document = stored(trail, 1)
    document["header"]["time"] = "2026-01-01T00:00:00.000000Z"
    put(trail, 1, document, trail.signer)


def garble_checkpoint(trail: Trail) -> None:
    trail.memory.objects[checkpoints.object_name(1)] = b"{}"


def seal_twice_with_the_key(trail: Trail) -> None:
    document = stored(trail, 1)
    header = document["header"]
    header.update(number=2, previous=checkpoints.read_checkpoint(trail.memory.objects[checkpoints.object_name(1)]).hash)
    header["total"] += header["size"]
    put(trail, 2, document, trail.signer)


def a_stranger(trail: Trail) -> None:
    trail.memory.objects["checkpoints/latest.json"] = b"{}"


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (drop_first, {"checkpoint_missing", "unsealed"}),
        (drop_last, {"checkpoint_missing", "unsealed"}),
        (another_key, {"checkpoint_unsigned", "unsealed"}),
        (another_key_under_a_trusted_name, {"checkpoint_unsigned", "unsealed"}),
        (rewrite_header, {"checkpoint_unsigned", "checkpoint_unlinked", "unsealed"}),
        (rewrite_manifest, {"checkpoint_root", "unsealed"}),
        (shorten_manifest, {"checkpoint_root", "unsealed"}),
        (replay_signature, {"checkpoint_unsigned", "unsealed"}),
        (rewrite_the_first_with_the_key, {"checkpoint_unlinked"}),
        (rewrite_the_last_with_the_key, {"checkpoint_unlinked"}),
        (garble_checkpoint, {"checkpoint_malformed", "unsealed"}),
        (seal_twice_with_the_key, {"sealed_twice"}),
        (a_stranger, {"checkpoint_malformed"}),
    ],
)
@pytest.mark.parametrize("from_segments", [False, True])
def test_tampering_with_checkpoints_is_a_matter_of_anchoring(
    trail: Trail, tamper: Callable[[Trail], None], expected: set[str], from_segments: bool
) -> None:
    assert trail.verify(from_segments=from_segments).sound
    tamper(trail)
    found = kinds(trail.verify(from_segments=from_segments))
    # Without the manifest, its events are not read from segments, and so they are missed as well.
    assert found[ANCHORING] == expected if not from_segments else expected - {"unsealed"} <= found[ANCHORING]
    assert from_segments or found.keys() == {ANCHORING}


@pytest.mark.parametrize("tamper", [alter, rehash, delete_one, garble])
def test_tampering_with_segments(trail: Trail, tamper: Callable[[Trail, list[Event]], None]) -> None:
    """Segments are compared with what was sealed, the archive is not read."""
    tamper(trail, trail.chains["first"])
    assert trail.verify(from_segments=True).sound
    names = [name for name in trail.memory.objects if name.startswith("segments/")]
    records = trail.memory.objects[names[0]].split(b"\n")
    records[2] = forged(records[2], **{"wardgate.decision": "blocked"})
    trail.memory.objects[names[0]] = b"\n".join(records)
    assert "altered" in kinds(trail.verify(from_segments=True))[INTEGRITY]


def test_without_a_segment_its_events_are_read_from_the_archive(trail: Trail) -> None:
    names = [name for name in trail.memory.objects if name.startswith("segments/")]
    del trail.memory.objects[names[0]]
    assert trail.verify(from_segments=True).sound
    alter(trail, trail.chains["first"])
    assert kinds(trail.verify(from_segments=True)) == {INTEGRITY: {"altered"}, COMPLETENESS: {"lost", "unrecorded"}}


# --- completeness ---------------------------------------------------------------------------------


def test_a_number_without_an_event(trail: Trail) -> None:
    """An event that was never written leaves its number behind; no killed process excuses it here."""
    trail.documents.commit([Write("audit_heads/x", fields={})])  # no chain's head: it is ignored
    trail.chain(interaction(admission_seq=12, admission_epoch=EPOCH))
    trail.seal()
    found = trail.verify()
    assert [str(each) for each in found.completeness.faults.shown] == [
        f"unrecorded: admission seq 11 of key key-1 in epoch {EPOCH}"
    ]


def test_a_charge_of_unknown_outcome_excuses_one_number(trail: Trail) -> None:
    unknown = interaction(
        admission_seq=None, admission_epoch=None, admission_mode="failed_open", admission_unknown=(("requests", 1),)
    )
    trail.chain(unknown, *(interaction(admission_seq=number, admission_epoch=EPOCH) for number in (12, 14)))
    trail.seal()
    completeness = trail.verify().completeness
    assert [each.where for each in completeness.excused.shown] == [f"admission seq 11 of key key-1 in epoch {EPOCH}"]
    assert [each.where for each in completeness.faults.shown] == [f"admission seq 13 of key key-1 in epoch {EPOCH}"]


def test_a_number_beyond_the_last(trail: Trail) -> None:
    trail.clock.advance(3600)
    trail.seal()  # the epoch is over
    trail.chain(interaction(admission_seq=11, admission_epoch=EPOCH))
    assert [each.where for each in trail.verify().completeness.faults.shown] == [
        f"11 of 10, key key-1 in epoch {EPOCH}"
    ]


def test_streams_that_never_ended(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    events = started(trail, close=True)
    trail.seal()
    assert [str(each) for each in trail.verify().completeness.faults.shown] == [
        f"unended: seq 1 (chain {events[0].id.split('/')[0]})"
    ]
    assert trail.verify(later=60).completeness.faults.count == 1


def test_streams_cut_off_by_a_crash_are_excused(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    started(trail, close=False)
    trail.seal()
    found = trail.verify()
    assert (found.sound, found.completeness.excused.count) == (True, 1)
    young = trail.verify(later=60)
    assert (young.sound, young.completeness.excused.count, young.completeness.pending.count) == (True, 0, 1)


def started(trail: Trail, *, close: bool) -> list[Event]:
    """A chain with a stream that ended and one that did not."""
    events: list[Event] = []
    previous = "0" * 64
    contents: list[tuple[Any, dict[str, Any]]] = [
        ("wardgate.chain.open", {}),
        ("wardgate.interaction.started", {}),
        ("wardgate.interaction.started", {}),
        ("wardgate.interaction", {"wardgate.started.seq": 2}),
    ]
    for seq, (type_, attributes) in enumerate([*contents, *([("wardgate.chain.close", {})] if close else [])]):
        made = seal(
            type_,
            attributes,
            source="//wardgate/guard",
            time=NOW,
            chain_uid="a" * 32,
            seq=seq,
            prev_event=previous,
        )
        previous = made.fingerprint
        events.append(made.event)
    trail.register(events)
    store_all(events, trail.objects)
    return events


def test_what_is_young_is_pending(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    events = trail.numbered(6, close=False)
    del trail.memory.objects[trail.name(events[3])]
    del trail.memory.objects[trail.name(events[-1])]
    soon = trail.verify(later=60)
    assert soon.sound
    assert {each.kind for each in soon.completeness.pending.shown} == {"gap", "lost_tail", "unrecorded"}
    assert {each.kind for each in soon.anchoring.pending.shown} == {"unsealed"}
    assert kinds(trail.verify()) == {COMPLETENESS: {"gap", "lost_tail", "unrecorded"}, ANCHORING: {"unsealed"}}


def test_a_whole_chain_that_is_young_is_pending(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    trail.numbered(3, store=False)
    assert trail.verify(later=60).sound
    assert kinds(trail.verify()) == {COMPLETENESS: {"lost_chain"}}
    assert trail.verify(registry=False).sound


def test_without_a_registry_the_rest_is_still_found(trail: Trail) -> None:
    assert trail.verify(registry=False).sound
    delete_tail(trail, trail.chains["first"])
    assert "lost" in kinds(trail.verify(registry=False))[COMPLETENESS]


def test_a_store_that_does_not_answer_is_no_verdict(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(name: str) -> bytes:
        raise StoreUnavailable("The objects cannot be read.")

    monkeypatch.setattr(trail.memory, "read", down)
    with pytest.raises(StoreUnavailable):
        trail.verify()


def test_only_the_days_that_were_asked_for_are_judged(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    early = trail.chain(*(interaction(admission_seq=None) for _ in range(4)))
    trail.seal()
    trail.clock.advance(3 * 86_400)
    late = trail.chain(*(interaction(admission_seq=None) for _ in range(4)))
    trail.seal()
    delete_one(trail, early)
    day = trail.now().date()
    for from_segments in (False, True):
        found = trail.verify(since=day, from_segments=from_segments)
        assert (kinds(found), found.events) == ({}, 6)
    assert COMPLETENESS in kinds(trail.verify())
    delete_one(trail, late)
    assert kinds(trail.verify(since=day)) == {COMPLETENESS: {"lost"}}


def test_a_chain_over_the_first_day_is_judged_from_that_day_on(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    bus_events = []
    previous, uid = "0" * 64, "b" * 32
    for seq in range(6):
        made = seal(
            "wardgate.chain.open" if seq == 0 else "wardgate.interaction",
            {},
            source="//wardgate/guard",
            time=NOW + seq * 43_200 * 10**9,
            chain_uid=uid,
            seq=seq,
            prev_event=previous,
        )
        previous = made.fingerprint
        bus_events.append(made.event)
    trail.register(bus_events)
    store_all(bus_events, trail.objects)
    trail.clock.advance(4 * 86_400)
    trail.seal()
    day = datetime.fromisoformat(bus_events[3].time).date()
    found = trail.verify(since=day)
    assert found.sound
    assert 2 <= found.events < 6
    del trail.memory.objects[trail.name(bus_events[4])]
    assert kinds(trail.verify(since=day)) == {COMPLETENESS: {"lost"}}


@pytest.mark.parametrize("from_segments", [False, True])
def test_verdicts_do_not_depend_on_what_memory_holds(
    trail: Trail, monkeypatch: pytest.MonkeyPatch, from_segments: bool
) -> None:
    """Facts are sorted on disk where they are too many."""
    alter(trail, trail.chains["first"])
    whole = trail.verify(from_segments=from_segments)
    defaults = {"reverse": False, "lines_in_memory": 3}
    monkeypatch.setattr(SortedLines.__init__, "__kwdefaults__", defaults)
    assert trail.verify(from_segments=from_segments) == whole
    assert whole.events == len([name for name in trail.memory.objects if name.startswith("archive/")])
