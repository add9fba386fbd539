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
    chain_of,
    fingerprint_of,
    flag_of,
    kind_of,
    previous_of,
    seq_of,
    started_of,
    time_of,
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
        self._sealed = ""
        """The fingerprint there that was sealed …"""
        self._event = ""
        """… and the fact that an event is there; empty where it is not."""
        self._before = ""
        """The fact of the event at the number before."""
        self._first = ""
        self._last = ""
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
                self._before = ""
            self._seq = seq
        kind = kind_of(line)
        if kind != "1":
            if self._sealed:
                self._found.anchoring.fault("sealed_twice", numbers(seq, seq), self._uid)
                return
            self._sealed = fingerprint_of(line)
        if kind != "0":
            self._take_event(line)

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
        if not self._last:
            return None
        self._found.chains += 1
        closed = flag_of(self._last) == CLOSES
        live = not closed and self._is_young(self._last)
        self._found.open_chains += not closed
        self._check_streams(closed=closed, live=live)
        crashed = whole and not closed and not live
        return Crashed(self._uid, time_of(self._first), time_of(self._last)) if crashed else None

    def _take_event(self, line: str) -> None:
        seq, integrity = self._seq, self._found.integrity
        if self._event:
            integrity.fault("duplicate", numbers(seq, seq), self._uid)
            return
        if self._next is not None and seq > self._next:
            self._gap(young=self._is_young(line))
        self._event = self._last = line
        self._first = self._first or line
        self._found.events += 1
        fingerprint = fingerprint_of(line)
        if self._sealed and self._sealed != fingerprint:
            integrity.fault("rewritten", f"{numbers(seq, seq)}, as sealed", self._uid)
        head = self._head
        if head is not None and head.seq == seq and head.fingerprint != fingerprint:
            integrity.fault("rewritten", f"{numbers(seq, seq)}, as registered", self._uid)
        flag = flag_of(line)
        if not self._goes_on(line, flag):
            integrity.fault("broken_link", numbers(seq, seq), self._uid)
        if flag == STARTS:
            self._streams[seq] = time_of(line)
        elif flag == ENDS and self._streams and (started := started_of(line)) is not None:
            self._streams.pop(started, None)

    def _goes_on(self, line: str, flag: str) -> bool:
        if self._seq == 0:
            return previous_of(line) == GENESIS and flag == OPENS
        before = self._before
        if not before:  # missing, or before `since`: what it was cannot be told
            return flag != OPENS
        return previous_of(line) == fingerprint_of(before) and flag_of(before) != CLOSES and flag != OPENS

    def _gap(self, *, young: bool) -> None:
        """Numbers before this one are missing, of which nothing at all is known."""
        if self._next is not None:
            self._found.completeness.judge("gap", numbers(self._next, self._seq - 1), self._uid, young=young)

    def _is_young(self, line: str) -> bool:
        return time_of(line) >= self._bounds.recent

    def _leave(self) -> None:
        """All facts about a number are known."""
        if self._seq < 0:
            return
        if not self._event:
            if self._next is not None and self._seq > self._next:
                self._gap(young=False)
            self._lost.add(self._seq)
        elif not self._sealed:
            (self._too_young if self._is_young(self._event) else self._unsealed).add(self._seq)
        else:
            self._found.sealed += 1
        self._before = self._event
        self._next = self._seq + 1
        self._sealed = self._event = ""

    def _check_tail(self) -> bool:
        """Compare the end with what the writer has registered and what was sealed; whether nothing is missing there."""
        head = self._head
        if head is None:
            return bool(self._before)
        young = head.registered_at >= self._bounds.recent
        if head.seq > self._seq:
            where = f"{numbers(self._seq + 1, head.seq)}, as registered"
            self._found.completeness.judge("lost_tail", where, self._uid, young=young)
            return False
        if head.closed and self._before and flag_of(self._before) != CLOSES:
            where = f"the registered close after seq {self._seq}"
            self._found.completeness.judge("lost_tail", where, self._uid, young=young)
            return False
        return bool(self._before)

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
