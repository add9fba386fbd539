"""The sealer: puts everything new in the archive under a signed checkpoint, in bounded steps.

One step takes up to 4,096 new events, writes their segment and the tables of positions under names that
nobody else uses, and then the checkpoint with create-if-absent, which alone makes the step count. A
sealer that is killed anywhere before has done nothing, and the next one does it again; of two at once
one wins the number and the other leaves. What arrives after later events were sealed is in the next
checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta

from shared.audit import archive, checkpoints, epochs, positions, segments
from shared.audit.checkpoints import MAX_EVENTS, AdmissionHead, Header, Place, ReadCheckpoint, encode_header
from shared.audit.epochs import Epochs
from shared.audit.merkle import merkle_root
from shared.audit.positions import LATE_DAYS, Found, Positions
from shared.audit.record import CHAIN_CLOSE, GENESIS, MalformedRecord, Record, read_record, timestamp
from shared.audit.registry import read_witness, register_checkpoint
from shared.clock import Clock, utc
from shared.errors import StoreError
from shared.stores.documents import DocumentStore
from shared.stores.objects import ObjectStore
from shared.stores.signers import Signer
from shared.web.log import log

_AT_ONCE = 64
"""Objects read side by side, and the unit in which a step grows."""

_MAX_BYTES = 16 * 1024 * 1024
"""A segment grows no further; with the objects of one more round it stays below twice that."""


@dataclass(frozen=True, slots=True)
class SealReport:
    """What one call has done."""

    checkpoints: tuple[int, ...]
    """Numbers of those that were written."""

    events: int
    refused: int
    """Objects that are no records in their place; they stay unsealed, and verification names them."""

    outrun: bool
    """Whether another sealer was at work, to which this one left the rest."""

    more: bool
    """Whether something is left for the next call."""


@dataclass(frozen=True, slots=True)
class _Head:
    """Where the next checkpoint is linked to."""

    number: int
    """Of the newest that there is, or was; -1 before the first."""

    hash: str
    header: Header | None
    """The newest that can be read; None where there is none."""


@dataclass(slots=True)
class _Batch:
    """What one checkpoint is to hold."""

    places: list[Place] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    refused: int = 0
    reached: str | None = None
    """The day where the search stopped; None where nothing is left."""


class Sealer:
    """Seals the archive. Safe to run anywhere, any number of times, at any time."""

    def __init__(self, objects: ObjectStore, documents: DocumentStore, signer: Signer, clock: Clock) -> None:
        """Asks for nothing yet.

        Args:
            objects: Holds the archive, and takes checkpoints, segments and tables.
            documents: Holds the admission numbers and the newest checkpoint's number.
            signer: Signs checkpoints.
            clock: Dates them, and says which days may still get events.
        """
        self._objects = objects
        self._documents = documents
        self._signer = signer
        self._clock = clock

    def seal(self, *, since: date | None = None, seconds: float = 40.0) -> SealReport:
        """Seal what is new.

        Args:
            since: Look for events from this day on, also where days are so old that none is expected any more.
            seconds: No further step begins after so long.

        Raises:
            StoreUnavailable: A store or the signer does not answer; what was sealed stays, the next call goes on.
            SecretNotFound: There is no signing key yet.
        """
        deadline = time.monotonic() + seconds
        head = self._head()
        first = self._first_day(head.header, since)
        seen = self._seen(head, first, anew=since is not None)
        open_epochs = epochs.load(self._objects, head.header.epochs if head.header else GENESIS)
        until = (utc(self._clock).date() + timedelta(days=1)).isoformat()
        new = seen.find_new(self._objects, first, until) if first else iter(())
        written: list[int] = []
        sealed = refused = 0
        with ThreadPoolExecutor(_AT_ONCE // 4) as pool:
            while True:
                batch = self._take(new, seen, pool)
                heads = open_epochs.advance(batch.records, self._documents, self._clock.time_ns())
                if not (batch.places or batch.refused or heads):
                    return SealReport(tuple(written), sealed, refused, outrun=False, more=False)
                created = self._write(head, batch, heads, seen, open_epochs)
                if created is None:
                    return SealReport(tuple(written), sealed, refused, outrun=True, more=True)
                head = created
                written.append(head.number)
                sealed += len(batch.places)
                refused += batch.refused
                if time.monotonic() >= deadline:
                    return SealReport(tuple(written), sealed, refused, outrun=False, more=batch.reached is not None)

    def _head(self) -> _Head:
        """What to go on from. A checkpoint that was deleted keeps its number: no other gets it."""
        witnessed = read_witness(self._documents)
        newest = checkpoints.newest(self._objects, witnessed[0] if witnessed else 0)
        readable = newest
        found = None
        while readable is not None and readable >= 0 and found is None:
            found = self._read(readable)
            readable -= 1
        number = -1 if newest is None else newest
        header = found.header if found else None
        if witnessed is not None and witnessed[0] > number:
            log("ERROR", "audit.checkpoint_missing", number=witnessed[0])
            return _Head(*witnessed, header)
        return _Head(number, found.hash if found else GENESIS, header)

    def _read(self, number: int) -> ReadCheckpoint | None:
        data = self._objects.read(checkpoints.object_name(number))
        try:
            return checkpoints.read_checkpoint(data) if data is not None else None
        except checkpoints.MalformedCheckpoint:
            log("ERROR", "audit.checkpoint_malformed", number=number)
            return None

    def _first_day(self, header: Header | None, since: date | None) -> str:
        """Where to begin to look; empty where there is nothing at all."""
        if header is not None:
            return min(header.scanned_from, since.isoformat()) if since else header.scanned_from
        name = next(self._objects.list(archive.PREFIX), "")
        return archive.day_of(name) or ""

    def _seen(self, head: _Head, first: str, *, anew: bool) -> Positions:
        """What has been sealed of the days from ``first`` on: by the tables, or from every manifest."""
        if head.header is None:
            return Positions()
        if not anew:
            try:
                return positions.load(self._objects, head.header.positions)
            except positions.PositionsLost as error:
                log("ERROR", "audit.positions_lost", error=str(error))
        seen = Positions()
        for number in range(head.number + 1):
            found = self._read(number)
            for day, uid, seq, _ in checkpoints.places(found.manifest) if found else ():
                if day >= first:
                    seen.add(uid, seq, day)
        return seen

    def _take(self, new: Iterator[Found], seen: Positions, pool: ThreadPoolExecutor) -> _Batch:
        """The next events, as many as one checkpoint holds."""
        batch = _Batch()
        size = 0
        while len(batch.places) + _AT_ONCE <= MAX_EVENTS and size < _MAX_BYTES:
            found = _next(new, seen)
            if not found:
                batch.reached = None
                return batch
            for each, data in zip(found, pool.map(lambda each: self._objects.read(each.name), found), strict=True):
                record = _judge(each, data)
                if record is None or data is None:
                    batch.refused += 1
                    continue
                if record.type == CHAIN_CLOSE:
                    seen.close(record.chain_uid)
                batch.places.append(Place(each.day, record.chain_uid, record.seq, record.fingerprint))
                batch.data.append(data)
                batch.records.append(record)
                size += len(data)
            batch.reached = found[-1].day
        return batch

    def _write(
        self, head: _Head, batch: _Batch, heads: list[AdmissionHead], seen: Positions, open_epochs: Epochs
    ) -> _Head | None:
        """Write a checkpoint and all that it needs; None where another sealer has its number."""
        number = head.number + 1
        manifest = checkpoints.runs(batch.places)
        root = merkle_root(checkpoints.leaves(manifest)).hex()
        settled = (utc(self._clock).date() - timedelta(days=LATE_DAYS)).isoformat()
        scanned_from = min(settled, batch.reached) if batch.reached else settled
        tables = seen.tables(scanned_from)
        if batch.data:
            segments.write_segment(self._objects, number, root, batch.data)
        for name, data in tables.objects.items():
            self._objects.create(name, data)
        header = Header(
            number=number,
            time=timestamp(self._clock.time_ns()),
            previous=head.hash,
            size=len(batch.places),
            total=(head.header.total if head.header else 0) + len(batch.places),
            root=root,
            scanned_from=scanned_from,
            positions=tables.hashes,
            epochs=open_epochs.store(self._objects),
            admission=heads,
        )
        encoded, digest = encode_header(header)
        signature = self._signer.sign(checkpoints.statement(number, digest))
        checkpoint = checkpoints.encode_checkpoint(encoded, manifest, signature)
        if not self._objects.create(checkpoints.object_name(number), checkpoint):
            return None
        self._remember(number, digest)
        return _Head(number, digest, header)

    def _remember(self, number: int, digest: str) -> None:
        """Tell the document store, as a witness outside of the object store; the next checkpoint does it again."""
        try:
            register_checkpoint(self._documents, number, digest)
        except StoreError as error:
            log("WARNING", "audit.head_not_written", number=number, error=type(error).__name__)


def _next(new: Iterator[Found], seen: Positions) -> Sequence[Found]:
    """Some objects, each noted as seen, since the search jumps over those."""
    taken: list[Found] = []
    for found in new:
        seen.add(found.chain_uid, found.seq, found.day)
        taken.append(found)
        if len(taken) == _AT_ONCE:
            break
    return taken


def _judge(found: Found, data: bytes | None) -> Record | None:
    """The record, if the object is one and in its place."""
    problem = "missing"
    if data is not None:
        try:
            record = read_record(data)
            if archive.is_in_place(record, found.name):
                return record
            problem = "misplaced"
        except MalformedRecord:
            problem = "malformed"
    log("ERROR", "audit.not_sealed", chain_uid=found.chain_uid, seq=found.seq, problem=problem)
    return None
