"""Admission by one blind commit on the document store: exact across every process, with no read before.

An increment answers the field's new value, so a single commit charges every limit of a group of
requests and returns all counts that are needed to judge them; denials are undone by a second commit.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, field

from shared.admission.cells import SEQ, Changes, Charge, document
from shared.admission.chunks import Purse
from shared.admission.counters import Counter, Entry
from shared.admission.denials import Denial
from shared.admission.port import LimitState
from shared.admission.windows import Held, Period, clock_offset, retry_after, standing
from shared.clock import Clock
from shared.errors import StoreContended, StoreError, StoreUnavailable
from shared.stores.documents import DocumentStore
from shared.web.log import log

_SECOND = 1_000_000_000

_ATTEMPTS = 3
"""Commits for one request, where each lands in another bucket than it was meant for, or is denied for
what others take back the next moment."""

_CONTENDED_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.005

_Values = dict[str, dict[str, int]]
"""New values by document and field."""


class Number(msgspec.Struct, frozen=True, gc=False):
    """The number of an admission or a denial."""

    seq: int
    epoch: str


class Charged(msgspec.Struct, frozen=True):
    """What one limit was charged for one request."""

    counter: Counter
    charge: Charge
    at: int
    """When, in nanoseconds since the Unix epoch."""


class Asked(Struct, eq=False):
    """One request in a group, and what became of it: ``charged``, ``denial`` or ``failure``."""

    costs: tuple[int, ...]
    """By counter."""

    number: Number | None = None
    committed: int = 0
    charged: list[Charged] | None = None
    states: tuple[LimitState, ...] = ()
    over: tuple[str, ...] = ()
    denied_by: Counter | None = None
    denial: Denial | None = None
    failure: Exception | None = None


class _Place(Struct):
    """One counter in one commit."""

    counter: Counter
    index: int
    needed: int
    entry: Entry | None
    """None where a purse covers what is needed."""

    charge: Charge
    """What is charged here: what is needed, or a chunk."""

    purse: Purse | None
    room: int = 0
    """What is left for the requests that have not been judged yet."""

    held: list[Held] = field(default_factory=list)
    """What counts, of a place with an entry; after the judgement without what was undone."""

    @property
    def amount(self) -> int:
        return self.counter.rule.limit.amount

    @property
    def total(self) -> int:
        return sum([each.amount for each in self.held])


class Charging:
    """Charges groups of requests and judges them. Thread-safe.

    Args:
        documents: Where the counts lie.
        clock: Ours; the store's is reckoned from the times of its commits.
        numbering: What admissions are numbered by, in the key's document.
        purse_of: The purse of a counter that is charged in chunks, None for others.
        safety: Nanoseconds that a commit may take; what leaves within that is left alone.
    """

    def __init__(
        self,
        documents: DocumentStore,
        clock: Clock,
        numbering: Period,
        purse_of: Callable[[Counter], Purse | None],
        safety: int,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._numbering = numbering
        self._purse_of = purse_of
        self._safety = safety
        self._offset: int | None = None
        self._latest = 0
        self._seen: int | None = None
        self._numbered: tuple[int, str, int] = (-1, "", 0)

    def now(self) -> int:
        """Now by the store's clock, as far as it is known."""
        return self._clock.time_ns() + (self._offset or 0)

    def latest(self) -> int:
        """The latest that it can be by the store's clock, judged from the last commit."""
        return self._clock.time_ns() + self._latest

    def counts_still(self, charge: Charge, now: int) -> bool:
        """Whether a commit that begins now changes the charge before it leaves its window."""
        return now + self._safety < charge.leaves

    def charge(
        self, key_id: str, counters: Sequence[Counter], group: Sequence[Asked], corrections: list[Changes]
    ) -> None:
        """Charge and judge, more than once where the first commit does not settle it.

        Args:
            key_id: Whose admissions are numbered.
            counters: What is charged.
            group: The requests; each is told what became of it.
            corrections: Ride on the first commit; the list is empty once they have been made.

        Raises:
            StoreContended: Nothing was charged or corrected.
            StoreUnavailable: No outcome; whether anything was charged may be unknown.
            ValueError: The store does not take such a commit.
        """
        waiting: Sequence[Asked] = group
        misplaced: Sequence[Charge] = ()
        for attempt in range(1, _ATTEMPTS + 1):
            now = self.now()
            changes = Changes()
            for correction in corrections:
                changes.merge(correction)
            places = [self._enter(counter, i, waiting, now, changes) for i, counter in enumerate(counters)]
            changes.take_back(charge for charge in misplaced if self.counts_still(charge, now))
            unnumbered = [asked for asked in waiting if asked.number is None]
            path, epoch = self._enter_numbers(now, key_id, changes, len(unnumbered))
            try:
                values, committed = self.commit(changes)
            except Exception as error:  # whatever it is, the purses get back what they gave
                _restore(places)
                if isinstance(error, StoreUnavailable) and not isinstance(error, StoreContended):
                    raise
                # This commit changed nothing, but one before it may have taken numbers and charged.
                self._take_back(misplaced)
                if attempt > 1 and isinstance(error, StoreContended):
                    raise StoreUnavailable("A request was charged, and could not be judged.") from error
                raise
            corrections.clear()  # also where this commit came late: what they change lies where it lay
            first = values[path][SEQ] - len(unnumbered) + 1
            for offset, asked in enumerate(unnumbered):
                asked.number = Number(first + offset, epoch)
            misplaced = [place.charge for place in places if place.entry is not None]
            if not all(place.counter.landed(now, committed) for place in places):
                _restore(places)
                continue
            misplaced = ()
            for asked in waiting:
                asked.committed = committed
            waiting = self._judge(places, waiting, values, now, last=attempt == _ATTEMPTS)
            if not waiting:
                return
        self._take_back(misplaced)
        raise StoreUnavailable("Commits take longer than a limit's buckets last.")

    def _enter(self, counter: Counter, index: int, group: Sequence[Asked], now: int, changes: Changes) -> _Place:
        """Charge one counter for a group, from the purse where that suffices."""
        needed = sum(asked.costs[index] for asked in group)
        purse = self._purse_of(counter)
        if purse is None:
            entry = counter.enter(now, needed, changes, seen=self._seen)
            return _Place(counter, index, needed, entry, entry.charge, None)
        bucket = counter.rule.period.bucket(now)
        if (charge := purse.withdraw(bucket, needed)) is not None:
            return _Place(counter, index, needed, None, charge, purse)
        entry = counter.enter(now, purse.chunk(bucket, needed), changes, seen=self._seen)
        changes.take_back(purse.due(now + self._safety, all_of_it=True))
        return _Place(counter, index, needed, entry, entry.charge, purse)

    def _enter_numbers(self, now: int, key_id: str, changes: Changes, count: int) -> tuple[str, str]:
        """Take the key's next numbers; the document they will be found in, and the name of the numbering."""
        epoch = self._numbering.epoch(self._numbering.bucket(now))
        known, name, expires = self._numbered
        if known != epoch:
            name, expires = self._numbering.epoch_name(epoch), self._numbering.epoch_expires(epoch)
            self._numbered = epoch, name, expires
        path = document("key", key_id, name)
        changes.keep(path, expires)
        changes.add(path, SEQ, count)
        return path, name

    def _judge(
        self, places: Sequence[_Place], group: Sequence[Asked], values: _Values, now: int, *, last: bool
    ) -> list[Asked]:
        """Admit in order whoever fits, undo the rest; those for whom another attempt is worth it."""
        for place in places:
            place.room = place.needed
            if place.entry is not None:
                place.held = place.counter.held(place.entry, values)
                place.room = place.amount - place.total + place.charge.amount
        admitted = [asked for asked in group if _admit(asked, places, now)]
        denied = [asked for asked in group if asked.charged is None]
        if denied or any(place.purse is not None for place in places):
            self._undo(places, admitted, values, now, again=bool(denied))
        states = _states(places, now)
        for asked in admitted:
            asked.states = states
        waiting = []
        for asked in denied:
            if not (last or _exceeded(asked, places)):
                waiting.append(asked)
            else:
                _deny(asked, places, states, now)
        return waiting

    def _undo(
        self, places: Sequence[_Place], admitted: Sequence[Asked], values: _Values, now: int, *, again: bool
    ) -> None:
        """Take back, or put into the purse, what nobody uses; note in each place what then counts.

        Where somebody is denied the counts are read ``again`` in the same commit: what was in the way may have
        been the charges of others who are being denied at the same time, and a wait reckoned from those would
        be too long.
        """
        changes = Changes()
        for place in places:
            used = sum(asked.costs[place.index] for asked in admitted)
            entry, charge, purse = place.entry, place.charge, place.purse
            if entry is None:
                if purse is not None and place.needed > used:
                    purse.refund(charge, place.needed - used)
                continue
            kept = used + max(0, min(charge.amount - place.needed, place.room))
            if kept < charge.amount:
                changes.add(charge.path, charge.field, kept - charge.amount)
                values[charge.path][charge.field] -= charge.amount - kept
                place.held = place.counter.held(entry, values)
            if purse is not None:
                purse.put(
                    place.counter.rule.period.bucket(now),
                    charge,
                    left=kept - used,
                    spent=used,
                    free=max(0, place.amount - place.total),
                    state=_state(place, now),
                )
        if not changes:
            return
        if again:
            for place in places:
                for part in (*place.entry.reads, *place.entry.lease_reads) if place.entry else ():
                    changes.read(part)
        if (fresh := self.change(changes)) and again:
            for place in places:
                if place.entry is not None:
                    place.held = place.counter.held(place.entry, fresh)

    def _take_back(self, misplaced: Sequence[Charge]) -> None:
        """Undo charges in a commit of their own."""
        changes, now = Changes(), self.now()
        changes.take_back(charge for charge in misplaced if self.counts_still(charge, now))
        self.change(changes)

    def commit(self, changes: Changes) -> tuple[_Values, int]:
        """Commit; the new values and the store's time of the commit. Repeats what others' commits kept from being."""
        writes = changes.writes()
        for attempt in range(1, _CONTENDED_ATTEMPTS + 1):
            before = self._clock.time_ns()
            try:
                done = self._documents.commit(list(writes.values()))
                break
            except StoreContended:
                if attempt == _CONTENDED_ATTEMPTS:
                    raise
                # Full jitter, after Brooker, "Exponential backoff and jitter" (2015).
                time.sleep(random.random() * _FIRST_PAUSE_SECONDS * 2**attempt)  # noqa: S311  # not a secret
        after = self._clock.time_ns()
        self._offset = clock_offset(self._offset or 0, before, after, done.commit_time)
        self._latest = done.commit_time - before
        self._seen = done.commit_time
        values = {path: dict(result.increments) for path, result in zip(writes, done.results, strict=True)}
        return values, done.commit_time

    def change(self, changes: Changes) -> _Values:
        """Commit what no request depends on; no values where that fails.

        What then stays charged goes with its window.
        """
        try:
            return self.commit(changes)[0] if changes else {}
        except StoreError as error:
            log_unchanged(error)
            return {}


def log_unchanged(error: StoreError) -> None:
    """Tell of changes that were not made, or nobody knows."""
    log("WARNING", "admission.change_failed", unknown=not isinstance(error, StoreContended))


def _restore(places: Sequence[_Place]) -> None:
    """Put back what purses gave for requests that nothing came of."""
    for place in places:
        if place.entry is None and place.purse is not None:
            place.purse.refund(place.charge, place.needed)


def _admit(asked: Asked, places: Sequence[_Place], now: int) -> bool:
    """Let a request in if there is room for it everywhere, and take that room."""
    if any(place.counter.rule.enforced and asked.costs[place.index] > place.room for place in places):
        return False
    asked.over = tuple(place.counter.rule.limit.name for place in places if asked.costs[place.index] > place.room)
    asked.charged = []
    for place in places:
        cost = asked.costs[place.index]
        place.room -= cost
        charge = Charge(place.charge.path, place.charge.field, cost, place.charge.leaves)
        asked.charged.append(Charged(place.counter, charge, now))
    return True


def _exceeded(asked: Asked, places: Sequence[_Place]) -> list[_Place]:
    """The limits that deny a request, now that all that is not used has been taken back."""
    return [
        place
        for place in places
        if place.entry is not None
        and place.counter.rule.enforced
        and place.total + asked.costs[place.index] > place.amount
    ]


def _deny(asked: Asked, places: Sequence[_Place], states: tuple[LimitState, ...], now: int) -> None:
    """Note the denial, in the name of the limit that takes longest."""
    exceeded = _exceeded(asked, places) or [place for place in places if place.entry and place.counter.rule.enforced]
    waits = [retry_after(place.amount, place.held, asked.costs[place.index], now) for place in exceeded]
    wait = max(waits)
    longest = exceeded[waits.index(wait)]
    asked.denied_by = longest.counter
    asked.denial = Denial(now, wait, longest.amount - longest.total, _state(longest, now), states)


def _states(places: Sequence[_Place], now: int) -> tuple[LimitState, ...]:
    """How the limits stand that callers are told of."""
    states = []
    for place in places:
        if place.counter.rule.enforced:
            state = _state(place, now) if place.purse is None else place.purse.state()
            if state is not None:
                states.append(state)
    return tuple(states)


def _state(place: _Place, now: int) -> LimitState:
    limit = place.counter.rule.limit
    stands = standing(limit.amount, place.held, now)
    return LimitState(
        limit.name,
        limit.kind,
        limit.amount,
        0 if limit.kind == "concurrency" else place.counter.rule.period.seconds,
        stands.remaining,
        reset_seconds=stands.whole_after / _SECOND,
        more_seconds=stands.more_after / _SECOND,
    )
