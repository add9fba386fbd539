"""Checks chains by their facts in order: links, gaps, what was sealed, and what their writers registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from shared.audit.lines import (
    CLOSES,
    ENDS,
    OPENS,
    STARTS,
    EventFact,
    chain_of,
    is_seal,
    read_event_line,
    sealed_fingerprint,
    seq_of,
)
from shared.audit.record import GENESIS
from shared.audit.verdicts import Verification, numbers

NOT_CLOSED = "the writer was killed: its chain was never closed"


@dataclass(frozen=True, slots=True)
class Head:
    """What a writer has registered of its chain."""

    chain_uid: str
    seq: int
    fingerprint: str
    closed: bool
    opened_at: str
    registered_at: str
    """Both RFC 3339 as in records."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """A chain that was never closed and is not being written to any more."""

    chain_uid: str
    first: str
    last: str
    """The times of its first and last event."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is judged: records' times as text, which sorts as time does."""

    recent: str
    """What is not older is too young to be missed."""

    since: str = ""
    """Events before are not looked at; empty: all are."""


def check_chains(facts: Iterable[str], heads: Iterable[Head], bounds: Bounds, found: Verification) -> Iterator[Crashed]:
    """Check every chain, and tell which of them have crashed.

    Args:
        facts: Lines of ``shared.audit.lines``, sorted.
        heads: What was registered, by chain.
        bounds: What is judged.
        found: Is told everything.
    """
    registered = iter(heads)
    head = next(registered, None)
    for uid, lines in groupby(facts, chain_of):
        while head is not None and head.chain_uid < uid:
            _lost_chain(head, bounds, found)
            head = next(registered, None)
        own = head if head is not None and head.chain_uid == uid else None
        check = _Chain(uid, own, bounds, found)
        for line in lines:
            check.take(line)
        crashed = check.end()
        if crashed is not None:
            yield crashed
        if own is not None:
            head = next(registered, None)
    while head is not None:
        _lost_chain(head, bounds, found)
        head = next(registered, None)


def _lost_chain(head: Head, bounds: Bounds, found: Verification) -> None:
    if head.opened_at >= bounds.since:
        where = f"registered up to seq {head.seq}"
        young = head.registered_at >= bounds.recent
        found.completeness.judge("lost_chain", where, head.chain_uid, young=young)


class _Chain:
    """The check of one chain, fact by fact."""

    def __init__(self, uid: str, head: Head | None, bounds: Bounds, found: Verification) -> None:
        self._uid = uid
        self._head = head
        self._bounds = bounds
        self._found = found
        self._seq = -1
        """Where the facts have come to; -1 before the first."""
        self._sealed: str | None = None
        self._event: EventFact | None = None
        self._before: EventFact | None = None
        """The event at the number before, if it is there."""
        self._first: EventFact | None = None
        self._last: EventFact | None = None
        self._streams: dict[int, str] = {}
        """Those that have begun and not ended, by number, with their times."""
        # A chain that began before `since` may begin anywhere.
        began_earlier = bool(bounds.since) and (head is None or head.opened_at < bounds.since)
        self._next: int | None = None if began_earlier else 0
        self._lost = _Stretches()
        self._unsealed = _Stretches()
        self._too_young = _Stretches()

    def take(self, line: str) -> None:
        """Take the next fact."""
        seq = seq_of(line)
        if seq != self._seq:
            self._leave()
            if seq != self._seq + 1:
                self._before = None
            self._seq = seq
        if not is_seal(line):
            self._take_event(read_event_line(line))
        elif self._sealed is None:
            self._sealed = sealed_fingerprint(line)
        else:
            self._found.anchoring.fault("sealed_twice", numbers(seq, seq), self._uid)

    def end(self) -> Crashed | None:
        """After the last fact."""
        self._leave()
        for first, last in self._lost:
            self._found.completeness.fault("lost", numbers(first, last), self._uid)
        for first, last in self._unsealed:
            self._found.anchoring.fault("unsealed", numbers(first, last), self._uid)
        for first, last in self._too_young:
            self._found.anchoring.wait("unsealed", numbers(first, last), self._uid)
        whole = self._check_tail()
        if self._first is None or self._last is None:
            return None
        self._found.chains += 1
        closed = self._last.flag == CLOSES
        live = not closed and self._last.time >= self._bounds.recent
        self._found.open_chains += not closed
        self._check_streams(closed=closed, live=live)
        return Crashed(self._uid, self._first.time, self._last.time) if whole and not closed and not live else None

    def _take_event(self, event: EventFact) -> None:
        if self._event is not None:
            self._found.integrity.fault("duplicate", numbers(self._seq, self._seq), self._uid)
            return
        self._check_gap(young=event.time >= self._bounds.recent)
        self._event = event
        integrity = self._found.integrity
        if self._sealed is not None and self._sealed != event.fingerprint:
            integrity.fault("rewritten", f"{numbers(self._seq, self._seq)}, as sealed", self._uid)
        head = self._head
        if head is not None and head.seq == self._seq and head.fingerprint != event.fingerprint:
            integrity.fault("rewritten", f"{numbers(self._seq, self._seq)}, as registered", self._uid)
        if not self._goes_on(event):
            integrity.fault("broken_link", numbers(self._seq, self._seq), self._uid)
        self._first = self._first or event
        self._last = event
        self._found.events += 1
        if event.flag == STARTS:
            self._streams[self._seq] = event.time
        elif event.flag == ENDS and event.started is not None:
            self._streams.pop(event.started, None)

    def _goes_on(self, event: EventFact) -> bool:
        if self._seq == 0:
            return event.previous == GENESIS and event.flag == OPENS
        before = self._before
        if before is None:  # missing, or before `since`: what it was cannot be told
            return event.flag != OPENS
        return event.previous == before.fingerprint and before.flag != CLOSES and event.flag != OPENS

    def _check_gap(self, *, young: bool) -> None:
        """See whether numbers before this one are missing of which nothing at all is known."""
        if self._next is not None and self._seq > self._next:
            self._found.completeness.judge("gap", numbers(self._next, self._seq - 1), self._uid, young=young)
            self._next = self._seq

    def _leave(self) -> None:
        """All facts about a number are known."""
        if self._seq < 0:
            return
        if self._event is None:
            self._check_gap(young=False)
            self._lost.add(self._seq)
        elif self._sealed is None:
            young = self._event.time >= self._bounds.recent
            (self._too_young if young else self._unsealed).add(self._seq)
        else:
            self._found.sealed += 1
        self._before = self._event
        self._next = self._seq + 1
        self._sealed = self._event = None

    def _check_tail(self) -> bool:
        """Compare the end with what the writer has registered and what was sealed; whether nothing is missing there."""
        head = self._head
        if head is None:
            return self._before is not None
        young = head.registered_at >= self._bounds.recent
        if head.seq > self._seq:
            where = f"{numbers(self._seq + 1, head.seq)}, as registered"
            self._found.completeness.judge("lost_tail", where, self._uid, young=young)
            return False
        if head.closed and self._before is not None and self._before.flag != CLOSES:
            where = f"the registered close after seq {self._seq}"
            self._found.completeness.judge("lost_tail", where, self._uid, young=young)
            return False
        return self._before is not None

    def _check_streams(self, *, closed: bool, live: bool) -> None:
        completeness = self._found.completeness
        for seq in self._streams:
            if closed:
                completeness.fault("unended", numbers(seq, seq), self._uid)
            elif live:
                completeness.wait("unended", numbers(seq, seq), self._uid)
            else:
                completeness.excuse("unended", numbers(seq, seq), NOT_CLOSED, self._uid)


class _Stretches:
    """Numbers that follow each other, gathered."""

    def __init__(self) -> None:
        self._stretches: list[tuple[int, int]] = []

    def add(self, seq: int) -> None:
        """Take a number higher than those before."""
        if self._stretches and self._stretches[-1][1] == seq - 1:
            self._stretches[-1] = (self._stretches[-1][0], seq)
        else:
            self._stretches.append((seq, seq))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._stretches)
