"""Reads events for verification: one by one from the archive, or sealed ones from their segments."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from shared.audit import archive, checkpoints, positions, segments
from shared.audit.checkpoints import Place, ReadCheckpoint
from shared.audit.lines import Outline, has_fingerprint, read_outline
from shared.audit.record import MalformedRecord, is_intact, parse_record
from shared.audit.verdicts import Verdict
from shared.stores.objects import ObjectStore

_AT_ONCE = 64


def archived(objects: ObjectStore, since: date | None, verdict: Verdict) -> Iterator[Outline]:
    """The events of the archive, each checked by itself: its form, its fingerprint and its place.

    Args:
        objects: Holds them.
        since: Leave out the days before.
        verdict: Is told of every object that is not as it should be.

    Raises:
        StoreUnavailable: While iterating: the object store does not answer.
    """
    after = archive.day_prefix(since) if since is not None else ""
    return _checked(objects, objects.list(archive.PREFIX, after=after), verdict)


def unsealed(objects: ObjectStore, newest: ReadCheckpoint | None, until: date, verdict: Verdict) -> Iterator[Outline]:
    """The events of the archive that came after the newest checkpoint; arguments as above."""
    if newest is None:
        yield from archived(objects, None, verdict)
        return
    try:
        seen = positions.load(objects, newest.header.positions)
    except positions.PositionsLost:
        verdict.fault("unreadable", f"the positions of {checkpoints.object_name(newest.header.number)}")
        return
    last = (until + timedelta(days=1)).isoformat()

    def names() -> Iterator[str]:
        for found in seen.find_new(objects, newest.header.scanned_from, last):
            seen.add(found.chain_uid, found.seq, found.day)
            yield found.name

    yield from _checked(objects, names(), verdict)


def sealed(objects: ObjectStore, checkpoint: ReadCheckpoint, verdict: Verdict) -> Iterator[Outline]:
    """The events of a checkpoint from its segment, each compared with the manifest.

    Where there is no segment, or it is not of that size, they come from the archive.

    Args:
        objects: Holds both.
        checkpoint: One that is to be believed.
        verdict: Is told of every event that is not as it was sealed.

    Raises:
        StoreUnavailable: While iterating: the object store does not answer.
    """
    header = checkpoint.header
    records: Iterable[bytes | None] | None = segments.read_segment(objects, header.number, header.root)
    if not isinstance(records, list) or len(records) != header.size:
        records = (objects.read(_archive_name(place)) for place in checkpoints.places(checkpoint.manifest))
    for place, data in zip(checkpoints.places(checkpoint.manifest), records, strict=True):
        if data is None:
            continue  # then nothing says that it is there, which is found by its seal
        outline = _as_sealed(place, data)
        if outline is None:
            verdict.fault("altered", f"seq {place.seq}, as sealed by checkpoint {header.number}", place.chain_uid)
        else:
            yield outline


def _as_sealed(place: Place, data: bytes) -> Outline | None:
    """The event, if it is the one that was sealed."""
    try:
        outline = read_outline(data)
    except MalformedRecord:
        return None
    known = (place.chain_uid, place.seq, place.fingerprint)
    if (outline.chain_uid, outline.seq, outline.fingerprint) != known:
        return None
    return outline if has_fingerprint(data, place.fingerprint) else None


def _checked(objects: ObjectStore, names: Iterator[str], verdict: Verdict) -> Iterator[Outline]:
    """Objects as events, read side by side."""
    with ThreadPoolExecutor(_AT_ONCE // 4) as pool:
        while some := list(itertools.islice(names, _AT_ONCE)):
            for name, data in zip(some, pool.map(objects.read, some), strict=True):
                if data is not None and (outline := _check(name, data, verdict)) is not None:
                    yield outline


def _check(name: str, data: bytes, verdict: Verdict) -> Outline | None:
    """Check one object by itself. One that is altered still has its place in its chain."""
    try:
        record = parse_record(data)
        outline = read_outline(data)
    except MalformedRecord:
        verdict.fault("unreadable", name)
        return None
    if not is_intact(record, data):
        verdict.fault("altered", name, record.chain_uid)
    elif not archive.is_in_place(record, name):
        verdict.fault("misplaced", name, record.chain_uid)
    return outline


def _archive_name(place: Place) -> str:
    return f"{archive.day_prefix(date.fromisoformat(place.day))}{place.chain_uid}/{place.seq:016d}.json"
