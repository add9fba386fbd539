"""Storing events once, and reading the archive back: filters show what was asked for."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.audit.archive import Archive
from shared.audit.port import TurnedAway
from shared.audit.record import canonical, seal
from shared.audit.show import Filter, json_line, read_entries, table_lines
from shared.audit.writer import ChainWriter
from shared.errors import BadRequest, Conflict
from shared.guards.port import Finding
from shared.identity.caller import Caller
from shared.policy.types import Audit
from tests.support.audit_events import FINDING, NOW, MemoryBus, MemoryObjects, Peppers, interaction, store_all
from tests.support.virtual_time import ManualClock

START = datetime.fromtimestamp(NOW // 10**9, UTC)


def write(*interactions: Any, close: bool = True, hours: float = 1) -> MemoryBus:
    """A chain with an interaction every so many hours."""
    bus, clock = MemoryBus(), ManualClock(NOW)
    writer = ChainWriter(bus, Peppers(), Audit(), clock, "//wardgate/guard")
    for each in interactions:
        writer.record(each)
        clock.advance(hours * 3600)
    if close:
        writer.close()
    return bus


def archived(*buses: MemoryBus) -> MemoryObjects:
    objects = MemoryObjects()
    for bus in buses:
        store_all(bus.events, objects)
    return objects


def name_of(objects: MemoryObjects, seq: int) -> str:
    uids = [name.split("/")[-2] for name in objects.objects]
    longest = max(set(uids), key=uids.count)
    return next(name for name in objects.objects if name.endswith(f"{longest}/{seq:016d}.json"))


def alter(objects: MemoryObjects, name: str) -> None:
    objects.objects[name] = objects.objects[name].replace(b'"answered"', b'"blocked!"')


def garble(objects: MemoryObjects, name: str) -> None:
    objects.objects[name] = b"\x00not json"


def test_the_archive_keeps_the_first_and_refuses_the_second() -> None:
    objects = MemoryObjects()
    archive = Archive(objects)
    first, second = (write(interaction(request_id=each)).events[1] for each in ("one", "two"))
    forged = json.loads(second.data)
    made = seal(
        "wardgate.interaction",
        forged["attributes"],
        source=first.source,
        time=NOW,
        chain_uid=first.id.split("/")[0],
        seq=1,
        prev_event=forged["prev_event"],
    )
    archive.store(first.attributes(), first.data)
    archive.store(first.attributes(), first.data)
    with pytest.raises(Conflict):
        archive.store(made.event.attributes(), made.event.data)
    assert list(objects.objects.values()) == [first.data]


def test_the_archive_refuses_an_envelope_of_another_event() -> None:
    one, two = write(interaction()).events[:2]
    for attributes in (two.attributes(), {}, {**one.attributes(), "source": "//elsewhere"}):
        with pytest.raises(BadRequest) as caught:
            Archive(MemoryObjects()).store(attributes, one.data)
        assert "elsewhere" not in caught.value.message


def test_the_archive_refuses_a_time_that_is_no_date() -> None:
    (event, *_) = write(interaction()).events
    record = json.loads(event.data)
    del record["fingerprint"]
    record["time"] = "2026-19-39T11:06:40.123456Z"
    record["fingerprint"] = hashlib.sha256(canonical(record)).hexdigest()
    with pytest.raises(BadRequest):
        Archive(MemoryObjects()).store(event.attributes(), canonical(record))


# --- show ---------------------------------------------------------------------------------------

PII = Finding("pii", "email", "LLM06", (0, 3), 1.0, "redact")


@pytest.fixture
def varied() -> MemoryObjects:
    other = Caller("other", "key-2", "api_key", frozenset())
    return archived(
        write(
            interaction(request_id="a", findings=()),
            interaction(request_id="b", decision="blocked", error_code="content_filter"),
            interaction(request_id="c", caller=other, findings=(PII,)),
            interaction(request_id="d", decision="denied", findings=(FINDING, PII)),
            hours=10,
        )
    )


def shown(objects: MemoryObjects, wanted: Filter, **how: Any) -> list[str]:
    entries = read_entries(objects, wanted, **how)
    return [
        entry.record.attributes.get("wardgate.request.id", entry.record.type[9:]) for entry in entries if entry.record
    ]


def test_records_are_shown_by_time(varied: MemoryObjects) -> None:
    everything = ["chain.open", "a", "b", "c", "d", "chain.close"]
    assert shown(varied, Filter(), newest_first=False) == everything
    assert shown(varied, Filter()) == everything[::-1]
    assert shown(varied, Filter(), limit=2) == ["chain.close", "d"]
    assert shown(varied, Filter(), newest_first=False, limit=2) == ["chain.open", "a"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(tenant="other"), ["c"]),
        (Filter(key_id="key-1"), ["a", "b", "d"]),
        (Filter(decision="blocked"), ["b"]),
        (Filter(request_id="d"), ["d"]),
        (Filter(guard="pii"), ["c", "d"]),
        (Filter(kind="jailbreak"), ["b", "d"]),
        (Filter(guard="pii", kind="jailbreak"), []),
        (Filter(guard="injection", kind="jailbreak", decision="denied"), ["d"]),
        (Filter(since=START + timedelta(hours=5), until=START + timedelta(hours=25)), ["b", "c"]),
        (Filter(since=START + timedelta(hours=30)), ["d", "chain.close"]),
        (Filter(until=START), []),
    ],
)
def test_filters(varied: MemoryObjects, wanted: Filter, expected: list[str]) -> None:
    assert shown(varied, wanted, newest_first=False) == expected


def test_a_time_zone_is_a_time_zone(varied: MemoryObjects) -> None:
    east = (START + timedelta(hours=30)).astimezone(tz=datetime.fromisoformat("2026-01-01T00:00+09:00").tzinfo)
    assert shown(varied, Filter(since=east), newest_first=False) == ["d", "chain.close"]


def test_altered_records_are_flagged_and_unreadable_ones_never_hidden(varied: MemoryObjects) -> None:
    alter(varied, name_of(varied, 1))
    garble(varied, name_of(varied, 2))
    entries = list(read_entries(varied, Filter(request_id="a")))
    assert [(entry.intact, entry.record is None) for entry in entries] == [(False, False), (False, True)]
    lines = list(table_lines(read_entries(varied, Filter())))
    assert sum("ALTERED" in line for line in lines) == 1
    assert sum("UNREADABLE" in line for line in lines) == 1
    told = [json.loads(json_line(entry)) for entry in read_entries(varied, Filter())]
    assert sorted(line["intact"] for line in told) == [False, False, True, True, True, True]


def test_the_table_and_the_lines(varied: MemoryObjects) -> None:
    heading, *lines = table_lines(read_entries(varied, Filter(), newest_first=False))
    assert heading.split()[:3] == ["TIME", "DECISION", "TENANT"]
    assert lines[2].split() == [
        "2026-11-18T21:06:40.123456Z",
        "blocked",
        "acme",
        "key-1",
        "default",
        "b",
        "injection/jailbreak",
        "content_filter",
    ]
    assert lines[0].split()[1:3] == ["chain.open", "-"]
    line = json.loads(json_line(next(read_entries(varied, Filter(request_id="c")))))
    assert line["attributes"]["wardgate.tenant"] == "other"
    assert line["intact"] is True


def test_a_tampered_archive_cannot_speak_to_the_terminal(varied: MemoryObjects) -> None:
    name = name_of(varied, 1)
    varied.objects[name] = varied.objects[name].replace(b'"acme"', b'"\\u001b[2J\\u0007"')
    for line in table_lines(read_entries(varied, Filter())):
        assert line.isprintable()
    for entry in read_entries(varied, Filter()):
        assert json_line(entry).isprintable()


def test_an_empty_archive() -> None:
    assert list(read_entries(MemoryObjects(), Filter())) == []


def test_requests_that_were_only_counted_are_shown_by_their_decision() -> None:
    bus, clock = MemoryBus(), ManualClock(NOW)
    writer = ChainWriter(bus, Peppers(), Audit(), clock, "//wardgate/guard")
    writer.turned_away(TurnedAway("acme", "key-1", "denied", limit="requests-per-minute"))
    writer.turned_away(TurnedAway("acme", "key-1", "refused", error="invalid_json"))
    writer.record(interaction(decision="answered"))
    writer.close()
    objects = archived(bus)
    for decision, reason in (("denied", "requests-per-minute"), ("refused", "invalid_json")):
        (line,) = list(table_lines(read_entries(objects, Filter(decision=decision))))[1:]
        assert line.split()[1] == decision
        assert line.endswith(f"1 requests {reason}")
    assert len(list(read_entries(objects, Filter(decision="answered")))) == 1
