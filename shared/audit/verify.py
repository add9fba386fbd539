"""Checks every chain of the archive: records unaltered, links whole, no number missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from shared.audit.archive import PREFIX, object_name
from shared.audit.record import (
    CHAIN_CLOSE,
    CHAIN_OPEN,
    GENESIS,
    MalformedRecord,
    Record,
    is_intact,
    parse_record,
    timestamp,
)
from shared.stores.objects import ObjectStore

NOT_PROVEN = (
    "Not proven: that no chain was cut at its end or removed whole, and that nobody who can write the "
    "archive has rewritten a chain from some record to its end. Signed checkpoints will prove this."
)

PENDING = timedelta(minutes=10)
"""A chain that was written to so recently may have events on their way."""

FaultKind = Literal["unreadable", "altered", "misplaced", "duplicate", "gap", "broken_link"]


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Something that is not as its writer left it."""

    kind: FaultKind
    chain_uid: str
    """Empty where an object tells none."""

    where: str
    """The object, or the numbers that are missing."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}" + (f" (chain {self.chain_uid})" if self.chain_uid else "")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole archive found; see ``NOT_PROVEN`` for what it cannot find."""

    records: int
    chains: int
    open_chains: int
    """Without a close event: still being written, or ended by a crash."""

    faults: tuple[ChainFault, ...]
    pending: tuple[ChainFault, ...]
    """Gaps in chains that were written to within ten minutes."""

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class _Link:
    """What a chain's check needs of a record; one is kept in memory for each."""

    name: str
    seq: int
    type: str
    time: str
    previous: str
    fingerprint: str


def verify(objects: ObjectStore, now: datetime) -> Verification:
    """Check every chain of the archive.

    Args:
        objects: Holds the archive.
        now: Aware; decides what is pending.

    Raises:
        StoreUnavailable: The object store does not answer.
    """
    faults: list[ChainFault] = []
    pending: list[ChainFault] = []
    chains: dict[str, dict[int, _Link]] = {}
    for name in objects.list(PREFIX):
        if (data := objects.read(name)) is not None:
            _collect(name, data, chains, faults)
    recent = timestamp(int((now - PENDING).timestamp() * 1_000_000_000))
    for uid, links in chains.items():
        ordered = [links[seq] for seq in sorted(links)]
        faults += _broken_links(uid, ordered)
        live = max(link.time for link in ordered) >= recent
        (pending if live else faults).extend(_gaps(uid, ordered))
    open_chains = sum(1 for links in chains.values() if links[max(links)].type != CHAIN_CLOSE)
    records = sum(map(len, chains.values()))
    return Verification(records, len(chains), open_chains, tuple(faults), tuple(pending))


def _collect(name: str, data: bytes, chains: dict[str, dict[int, _Link]], faults: list[ChainFault]) -> None:
    """Check one object by itself and put it into its chain."""
    try:
        record = parse_record(data)
    except MalformedRecord:
        faults.append(ChainFault("unreadable", "", name))
        return
    if not is_intact(record, data):
        faults.append(ChainFault("altered", record.chain_uid, name))
    elif not _in_place(record, name):
        faults.append(ChainFault("misplaced", record.chain_uid, name))
    links = chains.setdefault(record.chain_uid, {})
    if record.seq in links:
        faults.append(ChainFault("duplicate", record.chain_uid, name))
    else:
        links[record.seq] = _Link(name, record.seq, record.type, record.time, record.prev_event, record.fingerprint)


def _in_place(record: Record, name: str) -> bool:
    try:
        return object_name(record) == name
    except ValueError:  # a time that is no date
        return False


def _broken_links(uid: str, ordered: list[_Link]) -> list[ChainFault]:
    """Records that do not go on from the one before; that of a gap's far side cannot be told."""
    first = ordered[0]
    broken = []
    if first.seq == 0 and (first.previous != GENESIS or first.type != CHAIN_OPEN):
        broken.append(first)
    for before, link in pairwise(ordered):
        goes_on = link.previous == before.fingerprint and before.type != CHAIN_CLOSE and link.type != CHAIN_OPEN
        if link.seq == before.seq + 1 and not goes_on:
            broken.append(link)
    return [ChainFault("broken_link", uid, link.name) for link in broken]


def _gaps(uid: str, ordered: list[_Link]) -> list[ChainFault]:
    missing = []
    expected = 0
    for link in ordered:
        if link.seq > expected:
            last = link.seq - 1
            missing.append(f"seq {expected}" if last == expected else f"seq {expected} to {last}")
        expected = link.seq + 1
    return [ChainFault("gap", uid, numbers) for numbers in missing]
