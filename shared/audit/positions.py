"""How far each chain has been sealed, and what is new in the archive since.

The archive of a day may hold millions of objects, so a seal never lists what it has sealed. It remembers
for each chain which numbers it has seen, lists the folders of the last days, and in those folders only
what comes after, and between, the numbers it knows. A chain that was closed and has no gap is not looked
at again. What arrives later than ``LATE_DAYS`` after it was written is found by ``wardgate audit seal
--since``.

Positions are kept in tables, one for each day on which chains were last seen, named by their hashes, so
that a seal writes anew what has changed and no more: ``positions/<day>/<sha256>.json``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Struct

from shared.audit.archive import day_prefix
from shared.audit.checkpoints import ChainUid, Day, Number
from shared.errors import StoreError
from shared.stores.objects import ObjectStore

LATE_DAYS = 14
"""For so long new events of a day are looked for: twice as long as Pub/Sub keeps what was not delivered."""

_PREFIX = "positions/"
_MAX_RANGES = 64
"""A chain with more gaps than this has its oldest ones given up."""

_UID = re.compile(r"[0-9a-f]{32}")
_OBJECT = re.compile(r"[0-9]{16}\.json")


class PositionsLost(StoreError):
    """A table of positions is missing or altered."""


class Found(NamedTuple):
    """An object of the archive that has not been sealed yet."""

    name: str
    day: str
    chain_uid: str
    seq: int


class Position(Struct, array_like=True, forbid_unknown_fields=True):
    """Which numbers of a chain have been seen."""

    chain_uid: ChainUid
    ranges: list[tuple[Number, Number]]
    """First and last number of each stretch without a gap, in order."""

    first_day: str
    """Where missing numbers may still turn up: the day of the newest number before the first gap, or empty."""

    last_day: Day
    closed: bool

    @property
    def is_settled(self) -> bool:
        """Whether nothing can follow."""
        return self.closed and len(self.ranges) == 1 and self.ranges[0][0] == 0

    def add(self, seq: int, day: str) -> None:
        """Note a number that was not seen before."""
        ranges = self.ranges
        at = len(ranges)
        while at and ranges[at - 1][0] > seq:
            at -= 1
        first = last = seq
        if at and ranges[at - 1][1] == seq - 1:
            at -= 1
            first = ranges.pop(at)[0]
        if at < len(ranges) and ranges[at][0] == seq + 1:
            last = ranges.pop(at)[1]
        ranges.insert(at, (first, last))
        if len(ranges) > _MAX_RANGES:
            ranges[:2] = [(ranges[0][0], ranges[1][1])]
        if at == 0 and first == 0 and last == seq:
            self.first_day = max(self.first_day, day)
        self.last_day = max(self.last_day, day)

    def seen_until(self, seq: int) -> int | None:
        """The end of the stretch that ``seq`` is in; None where it was not seen."""
        return next((last for first, last in self.ranges if first <= seq <= last), None)


class Tables(NamedTuple):
    """Positions as they are kept."""

    hashes: dict[str, str]
    """Of every table, by day."""

    objects: dict[str, bytes]
    """Those that must be written, by name."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Position]).decode


class Positions:
    """The positions of all chains that were seen within the last days."""

    def __init__(self, positions: Iterable[Position] = (), known: Mapping[str, str] | None = None) -> None:
        """
        Args:
            positions: As the tables have them.
            known: The hashes of the tables they are from, by day.
        """
        self._chains = {position.chain_uid: position for position in positions}
        self._known = dict(known or {})
        self._changed: set[str] = set()

    def add(self, chain_uid: str, seq: int, day: str) -> None:
        """Note that an object has been seen."""
        position = self._chains.get(chain_uid)
        if position is None:
            position = self._chains[chain_uid] = Position(chain_uid, [], "", day, closed=False)
        self._changed.add(position.last_day)
        position.add(seq, day)
        self._changed.add(position.last_day)

    def close(self, chain_uid: str) -> None:
        """Note that a chain's close event has been seen."""
        position = self._chains[chain_uid]
        position.closed = True
        self._changed.add(position.last_day)

    def tables(self, scanned_from: str) -> Tables:
        """The tables of the days from ``scanned_from`` on; the next call tells what has changed since this one.

        Args:
            scanned_from: Chains that were last seen before are left out: nobody will look there again.
        """
        by_day: dict[str, list[Position]] = {}
        for position in self._chains.values():
            by_day.setdefault(position.last_day, []).append(position)
        hashes, objects = {}, {}
        for day in sorted(by_day):
            if day < scanned_from:
                continue
            if day in self._known and day not in self._changed:
                hashes[day] = self._known[day]
                continue
            data = _encode(sorted(by_day[day], key=lambda position: position.chain_uid))
            hashes[day] = hashlib.sha256(data).hexdigest()
            objects[_object_name(day, hashes[day])] = data
        self._known, self._changed = hashes, set()
        return Tables(hashes, objects)

    def find_new(self, objects: ObjectStore, scanned_from: str, until: str) -> Iterator[Found]:
        """Objects of the archive that have not been seen, by day, chain and number.

        Whoever takes one must ``add`` it before taking the next.

        Args:
            objects: Holds the archive.
            scanned_from: The first day to look at.
            until: The last one.

        Raises:
            StoreUnavailable: While iterating: the object store does not answer.
        """
        for day in _days(scanned_from, until):
            prefix = day_prefix(date.fromisoformat(day))
            for folder in objects.folders(prefix):
                uid = folder[:-1]
                if _UID.fullmatch(uid):
                    yield from self._in_folder(objects, f"{prefix}{folder}", day, uid)

    def _in_folder(self, objects: ObjectStore, folder: str, day: str, uid: str) -> Iterator[Found]:
        """New objects in a chain's folder of a day; stretches that were seen are jumped over."""
        known = self._chains.get(uid)
        if known and (known.is_settled or day < known.first_day):
            return
        after = ""
        while True:
            for name in objects.list(folder, after=after):
                if not _OBJECT.fullmatch(name, len(folder)):
                    continue
                seq = int(name[len(folder) : -5])
                known = self._chains.get(uid)
                end = known.seen_until(seq) if known else None
                if end is not None:
                    after = f"{folder}{end:016d}.json"
                    break
                yield Found(name, day, uid, seq)
            else:
                return


def load(objects: ObjectStore, tables: Mapping[str, str]) -> Positions:
    """The positions as a checkpoint's tables have them.

    Raises:
        PositionsLost: A table is missing, or is not the one that was signed.
        StoreUnavailable: The object store does not answer.
    """
    positions: list[Position] = []
    for day, digest in tables.items():
        data = objects.read(_object_name(day, digest))
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            raise PositionsLost(f"The table of positions of {day} is missing or altered.")
        positions += _decode(data)
    return Positions(positions, tables)


def _object_name(day: str, digest: str) -> str:
    return f"{_PREFIX}{day}/{digest}.json"


def _days(first: str, last: str) -> Iterator[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)
