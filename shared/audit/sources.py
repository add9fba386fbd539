"""Reads events for verification: one by one from the archive, or sealed ones from their segments.

Whatever is read is checked by itself and becomes facts (``shared.audit.lines``), some at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta

from shared.audit import archive, checkpoints, positions, segments
from shared.audit.checkpoints import Place, ReadCheckpoint
from shared.audit.lines import Outline, event_line, has_fingerprint, number_lines, read_outline, sealed_line
from shared.audit.record import MalformedRecord, is_intact, parse_record
from shared.audit.verdicts import FaultKind, Finding, Verdict
from shared.stores.objects import ObjectStore

_AT_ONCE = 64


@dataclass(slots=True)
class Facts:
    """What some events say."""

    since: str
    """Events before this time are left out."""

    count: int = 0
    events: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """About the integrity of single events."""

    def add(self, outline: Outline, *, sealed: bool) -> None:
        """Take an event.

        Raises:
            MalformedRecord: See ``event_line``.
        """
        line = event_line(outline, sealed=sealed)
        self.count += 1
        if outline.time >= self.since:
            self.events.append(line)
            self.numbers += number_lines(outline)

    def fault(self, kind: FaultKind, where: str, chain_uid: str = "") -> None:
        """Take something that is not as it should be."""
        self.count += 1
        self.findings.append(Finding(kind, where, chain_uid))


def archived(objects: ObjectStore, since: date | None) -> Iterator[Facts]:
    """The events of the archive: their form, their fingerprint and their place are checked.

    Args:
        objects: Holds them.
        since: Leave out the days before.

    Raises:
        StoreUnavailable: While iterating: the object store does not answer.
    """
    after = archive.day_prefix(since) if since is not None else ""
    first = since.isoformat() if since is not None else ""
    return _checked(objects, objects.list(archive.PREFIX, after=after), first)


def unsealed(objects: ObjectStore, newest: ReadCheckpoint | None, until: date, verdict: Verdict) -> Iterator[Facts]:
    """The events of the archive that came after the newest checkpoint.

    Args:
        objects: Holds them.
        newest: The checkpoint; where there is none, all events came after it.
        until: Today.
        verdict: Is told where nobody can tell what came after.

    Raises:
        StoreUnavailable: While iterating: the object store does not answer.
    """
    if newest is None:
        yield from archived(objects, None)
        return
    try:
        seen = positions.load(objects, newest.header.positions)
    except positions.PositionsLost as error:
        verdict.fault("unreadable", str(error))
        return
    last = (until + timedelta(days=1)).isoformat()

    def names() -> Iterator[str]:
        for found in seen.find_new(objects, newest.header.scanned_from, last):
            seen.add(found.chain_uid, found.seq, found.day)
            yield found.name

    yield from _checked(objects, names(), "")


def sealed(objects: ObjectStore, checkpoint: ReadCheckpoint, since: str) -> Facts:
    """The events of a checkpoint from its segment, each compared with the manifest.

    Where there is no segment, or it is not of that size, they come from the archive. Of an event that is not
    there either, or is another, the only fact is that it was sealed.

    Args:
        objects: Holds both.
        checkpoint: One that is to be believed.
        since: Leave out events before this time.

    Raises:
        StoreUnavailable: The object store does not answer.
    """
    header = checkpoint.header
    places = list(checkpoints.places(checkpoint.manifest))
    records: Sequence[bytes | None] | None = segments.read_segment(objects, header.number, header.root)
    if records is None or len(records) != len(places):
        records = [objects.read(archive.name_at(place.day, place.chain_uid, place.seq)) for place in places]
    facts = Facts(since)
    for place, data in zip(places, records, strict=True):
        if data is not None and _add_as_sealed(place, data, facts):
            continue
        if place.day >= since:
            facts.events.append(sealed_line(place.chain_uid, place.seq, place.fingerprint))
        if data is not None:
            facts.fault("altered", f"seq {place.seq}, as sealed by checkpoint {header.number}", place.chain_uid)
    return facts


def _add_as_sealed(place: Place, data: bytes, facts: Facts) -> bool:
    """Take an event, if it is the one that was sealed."""
    try:
        outline = read_outline(data)
        known = outline.chain_uid == place.chain_uid and outline.seq == place.seq
        if not known or outline.fingerprint != place.fingerprint or not has_fingerprint(data, place.fingerprint):
            return False
        facts.add(outline, sealed=True)
    except MalformedRecord:
        return False
    return True


def _checked(objects: ObjectStore, names: Iterator[str], since: str) -> Iterator[Facts]:
    """Objects as facts, read side by side."""
    with ThreadPoolExecutor(_AT_ONCE // 4) as pool:
        while some := list(itertools.islice(names, _AT_ONCE)):
            facts = Facts(since)
            for name, data in zip(some, pool.map(objects.read, some), strict=True):
                if data is not None:
                    _check(name, data, facts)
            yield facts


def _check(name: str, data: bytes, facts: Facts) -> None:
    """Check one object by itself. One that is altered still has its place in its chain."""
    try:
        record = parse_record(data)
        facts.add(read_outline(data), sealed=False)
    except MalformedRecord:
        facts.fault("unreadable", name)
        return
    if not is_intact(record, data):
        facts.findings.append(Finding("altered", name, record.chain_uid))
    elif not archive.is_in_place(record, name):
        facts.findings.append(Finding("misplaced", name, record.chain_uid))
