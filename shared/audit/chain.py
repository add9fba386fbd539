"""One hash chain as far as it has come, and the events of it that the bus has not acknowledged.

When the bus does not acknowledge an event, nobody knows whether it took it. Its place in the chain must
then never be given to another event, which would look like a forgery, and leaving it empty would look
like a deletion. So the event keeps its place, and its very bytes are sent again; sinks store an event
once, so a second copy does no harm.
"""

from __future__ import annotations

import heapq
import uuid

import msgspec
from msgspec import Struct

from shared.audit.journal import COMPACT_BYTES, Journal
from shared.audit.record import GENESIS, EventType, event_of, seal
from shared.stores.events import Event
from shared.web.log import log

MAX_WAITING = 1000
"""Unacknowledged events in memory; more are in the journal only, or lost where there is none."""


class Head(Struct, frozen=True):
    """A chain as far as the bus has all of it."""

    seq: int
    fingerprint: str
    opened_at: str
    closed: bool = False


class Waiting:
    """A record that has its place, until the bus acknowledges it."""

    __slots__ = ("event", "fingerprint", "length", "place", "previous", "seq")

    def __init__(self, seq: int, event: Event, fingerprint: str, previous: str, place: int | None) -> None:
        self.seq = seq
        self.event: Event | None = event
        """None where only the journal has it."""
        self.fingerprint = fingerprint
        self.previous = previous
        self.place = place
        """Where it is in the journal; None where it is not."""
        self.length = len(event.data)


class Chain:
    """Not thread-safe: ``ChainWriter`` uses it under its lock."""

    def __init__(self, source: str) -> None:
        self.uid = uuid.uuid4().hex
        self.length = 0
        self.head = GENESIS
        """Fingerprint of the newest record."""

        self.opened = False
        """Whether events may be appended after the first."""

        self.opened_at = ""
        self.journal: Journal | None = None
        self.pending: dict[int, Waiting] = {}
        """What is not acknowledged, oldest first: on its way, or failed."""

        self.withheld: list[int] = []
        """Numbers of records whose answers were withheld, and that no record names yet."""

        self.streams: set[int] = set()
        """Numbers of streamed answers that have begun and not ended."""

        self.paused_until = 0
        """When to try the bus again, on the monotonic clock."""

        self.registered = -1
        """The newest number in the head registry."""

        self.registering = False
        self._source = source
        self._failed: list[int] = []
        """A heap."""

        self._kept_bytes = 0
        self._journal_failed = False

    @property
    def failed(self) -> bool:
        """Whether an event waits to be sent again."""
        return bool(self._failed)

    def append(self, type_: EventType, attributes: msgspec.Raw, time: int) -> Waiting:
        """Give an event the chain's next place."""
        sealed = seal(
            type_,
            attributes,
            source=self._source,
            time=time,
            chain_uid=self.uid,
            seq=self.length,
            prev_event=self.head,
        )
        if not self.length:
            self.opened_at = sealed.event.time
        self.length += 1
        self.head = sealed.fingerprint
        place = self._keep(sealed.event.data)
        waiting = Waiting(sealed.seq, sealed.event, sealed.fingerprint, sealed.previous, place)
        self.pending[sealed.seq] = waiting
        return waiting

    def acknowledged(self, waiting: Waiting) -> None:
        """The bus has taken it."""
        self._forget(waiting)
        if self.journal is not None and waiting.place is not None:
            self.journal.acknowledged(waiting.seq)

    def send_again(self, waiting: Waiting) -> None:
        """The bus has not taken it, as far as is known."""
        if len(self._failed) >= MAX_WAITING:
            if waiting.place is None:
                self._forget(waiting)
                log("ERROR", "audit.lost", chain_uid=self.uid, seq=waiting.seq)
                return
            waiting.event = None
        heapq.heappush(self._failed, waiting.seq)

    def next_failed(self) -> tuple[Waiting, Event] | None:
        """Take the oldest event that is to be sent again."""
        if not self._failed:
            return None
        waiting = self.pending[heapq.heappop(self._failed)]
        if waiting.event is None and self.journal is not None and waiting.place is not None:
            waiting.event = event_of(self.journal.read(waiting.place, waiting.length))
        assert waiting.event is not None  # noqa: S101  # it leaves memory for the journal only
        return waiting, waiting.event

    def known(self, *, closed: bool = False) -> Head | None:
        """The chain as far as the bus has all of it; None where it has nothing."""
        if not self.pending:
            seq, fingerprint = self.length - 1, self.head
        else:
            first = next(iter(self.pending.values()))
            seq, fingerprint = first.seq - 1, first.previous
        return None if seq < 0 else Head(seq, fingerprint, self.opened_at, closed)

    def close(self) -> None:
        """Nothing is appended any more; what is not acknowledged stays in the journal."""
        if self.journal is not None:
            self.journal.close(needed=bool(self.pending))
            self.journal = None
        lost = sum(1 for waiting in self.pending.values() if waiting.place is None)
        if lost:
            log("ERROR", "audit.lost", chain_uid=self.uid, count=lost)
        if left := len(self.pending) - lost:
            log("WARNING", "audit.left_in_journal", chain_uid=self.uid, count=left)

    def _forget(self, waiting: Waiting) -> None:
        del self.pending[waiting.seq]
        if waiting.place is not None:
            self._kept_bytes -= waiting.length

    def _keep(self, data: bytes) -> int | None:
        """Write to the journal; None where there is none, or it cannot be written."""
        if self.journal is None:
            return None
        try:
            if self.journal.size > COMPACT_BYTES and self._kept_bytes * 2 < self.journal.size:
                self._compact(self.journal)
            place = self.journal.write(data)
        except OSError as error:
            if not self._journal_failed:
                log("WARNING", "audit.journal_failed", chain_uid=self.uid, error=type(error).__name__)
            self._journal_failed = True
            return None
        self._journal_failed = False
        self._kept_bytes += len(data)
        return place

    def _compact(self, journal: Journal) -> None:
        kept = [waiting for waiting in self.pending.values() if waiting.place is not None]
        places = journal.compact((waiting.place or 0, waiting.length) for waiting in kept)
        for waiting, place in zip(kept, places, strict=True):
            waiting.place = place
