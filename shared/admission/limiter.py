"""Admission by one blind commit on the document store: exact across every process, with no read before.

An increment answers the field's new value, so a single commit charges every limit of a request and
returns all counts that are needed to judge it; a denial is undone by a second commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from shared.admission.counters import SEQ, Changes, Charge, Counter, Entry, Fields, document, epoch_name, subject_of
from shared.admission.denials import Denial, DenialCache
from shared.admission.port import LimitState, Reservation, Usage
from shared.admission.windows import clock_offset, fits, retry_after, standing, window_of
from shared.clock import Clock
from shared.errors import ServiceUnavailable, StoreError, StoreUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.documents import DocumentStore
from shared.web.log import log

_SECOND = 1_000_000_000
_DAY_SECONDS = 86_400

_ATTEMPTS = 3
"""Commits for one request, where each lands in another bucket than it was meant for, or is denied for
what others take back the next moment."""

_Values = Mapping[str, Mapping[str, int]]
"""New values by document and field."""


@dataclass(frozen=True, slots=True)
class _Number:
    """The number of an admission."""

    seq: int
    epoch: str


class Limiter:
    """Limits over sliding windows per key, user, tenant and for everyone. Thread-safe; an ``Admission``.

    A limit per user applies to callers whose user is known. Window arithmetic and the proof that it
    is exact are in ``shared.admission.windows``.
    """

    def __init__(
        self, documents: DocumentStore, limits: Sequence[RateLimit], policy: AdmissionPolicy, clock: Clock
    ) -> None:
        self._documents = documents
        self._fail = policy.fail
        self._clock = clock
        windows = [window_of(limit.amount, limit.window_seconds, policy.deadline_ms) for limit in limits]
        self._limits = [(limit, window, Fields(limit)) for limit, window in zip(limits, windows, strict=True)]
        # Admissions are numbered in the key's longest-lived document; without a limit per key, in one of its own.
        self._numbering = max(
            (window for limit, window, _ in self._limits if limit.per == "key"),
            key=lambda window: window.length,
            default=window_of(1, _DAY_SECONDS, policy.deadline_ms),
        )
        self._denials = DenialCache()
        self._offset: int | None = None

    def reserve(self, caller: Caller, model: str, estimate: Usage) -> Reservation:
        """Charge every limit that applies to the caller, all or none.

        Raises:
            LimitExceeded: A limit is used up; nothing stays charged.
            ServiceUnavailable: The store cannot be reached and the policy's mode is ``closed``.
        """
        counters = [
            Counter(limit, window, fields, subject)
            for limit, window, fields in self._limits
            if (subject := subject_of(limit, caller)) is not None
        ]
        now = self._now()
        for each in counters:
            if denial := self._denials.find(each.limit.name, each.subject, now):
                raise denial.error(now)
        try:
            return self._charge(counters, caller.key_id, estimate.requests)
        except StoreUnavailable as error:
            log("ERROR", "admission.unavailable", mode=self._fail)
            if self._fail == "open":
                return Reservation((), seq=0, epoch="", mode="failed_open")
            raise ServiceUnavailable(
                "The limits cannot be read now, so no request is let in.",
                code="admission_unavailable",
                headers={"retry-after": "1"},
            ) from error

    def settle(self, reservation: Reservation, actual: Usage) -> None:
        """Turn the charge into what was really used. Never raises; a failure is logged."""
        charges: Sequence[Charge] = reservation.charges or ()
        now = self._now()
        changes = Changes()
        for charge in charges:
            # A bucket that has left its window counts no more, and may be gone: a change would bring it back.
            if actual.requests != charge.amount and now < charge.leaves:
                changes.add(charge.path, charge.field, actual.requests - charge.amount)
        self._change(changes)

    def _charge(self, counters: Sequence[Counter], key_id: str, cost: int) -> Reservation:
        """Charge and judge, more than once where the first commit does not settle it."""
        number: _Number | None = None  # an attempt that has to be repeated keeps the number it took
        misplaced: Sequence[Charge] = ()
        for attempt in range(1, _ATTEMPTS + 1):
            now = self._now()
            changes = Changes()
            entries = [each.enter(now, cost, changes, clean=self._offset is not None) for each in counters]
            _take_back(changes, misplaced)
            path, epoch = self._enter_number(now, key_id, changes, take=number is None)
            values, committed = self._commit(changes)
            number = number or _Number(values[path][SEQ], epoch)
            misplaced = [entry.charge for entry in entries]
            if any(each.window.bucket(now) != each.window.bucket(committed) for each in counters):
                continue
            counts = _counts(entries, values)
            denied = [i for i, each in enumerate(counters) if not fits(each.window, counts[i])]
            if not denied:
                return Reservation(_states(counters, counts, now), number.seq, number.epoch, charges=misplaced)
            counts = self._undo(counters, entries, counts, cost)
            if attempt == _ATTEMPTS or any(sum(counts[i]) + cost > counters[i].window.amount for i in denied):
                self._deny(counters, counts, denied, cost, now, number)
            misplaced = ()
        changes = Changes()
        _take_back(changes, misplaced)
        self._change(changes)
        raise StoreUnavailable("Commits take longer than a limit's buckets last.")

    def _enter_number(self, now: int, key_id: str, changes: Changes, *, take: bool) -> tuple[str, str]:
        """Take the key's next number; the document it will be found in, and the name of the numbering."""
        window = self._numbering
        epoch = window.epoch(window.bucket(now))
        path = document("key", key_id, window, epoch)
        changes.keep(path, window.epoch_expires(epoch))
        changes.add(path, SEQ, int(take))
        return path, epoch_name(window, epoch)

    def _undo(
        self, counters: Sequence[Counter], entries: Sequence[Entry], counts: list[list[int]], cost: int
    ) -> list[list[int]]:
        """Take the charges back; the counts without them.

        They are read once more in the same commit: what was in the way may have been the charges of others
        who are being denied at the same time, and a wait that is reckoned from those would be too long.
        """
        changes = Changes()
        for entry in entries:
            for part in entry.reads:
                changes.read(part.path, part.fields)
        _take_back(changes, [entry.charge for entry in entries])
        if values := self._change(changes):
            return _counts(entries, values)
        for each, row in zip(counters, counts, strict=True):
            row[each.window.buckets] -= cost
        return counts

    def _deny(
        self,
        counters: Sequence[Counter],
        counts: Sequence[Sequence[int]],
        denied: Sequence[int],
        cost: int,
        now: int,
        number: _Number,
    ) -> NoReturn:
        """Remember the denial and raise it, in the name of the limit that takes longest."""
        waits = {i: retry_after(counters[i].window, counts[i], cost, now) for i in denied}
        longest = max(denied, key=lambda i: waits[i])
        states = _states(counters, counts, now)
        denial = Denial(now, waits[longest], states[longest], states)
        self._denials.add(counters[longest].limit.name, counters[longest].subject, denial)
        raise denial.error(now, seq=number.seq, epoch=number.epoch)

    def _commit(self, changes: Changes) -> tuple[_Values, int]:
        """Commit; the new values and the store's time of the commit."""
        writes = changes.writes()
        before = self._clock.time_ns()
        done = self._documents.commit(list(writes.values()))
        after = self._clock.time_ns()
        self._offset = clock_offset(self._offset or 0, before, after, done.commit_time)
        values = {path: result.increments for path, result in zip(writes, done.results, strict=True)}
        return values, done.commit_time

    def _change(self, changes: Changes) -> _Values:
        """Commit what the request does not depend on; no values where that fails.

        What then stays charged goes with its window.
        """
        try:
            return self._commit(changes)[0] if changes else {}
        except StoreError:
            log("WARNING", "admission.change_failed")
            return {}

    def _now(self) -> int:
        """Now by the store's clock, as far as it is known."""
        return self._clock.time_ns() + (self._offset or 0)


def _take_back(changes: Changes, charges: Sequence[Charge]) -> None:
    for charge in charges:
        changes.add(charge.path, charge.field, -charge.amount)


def _counts(entries: Sequence[Entry], values: _Values) -> list[list[int]]:
    """The counts of each entry's buckets, oldest first."""
    return [[values[part.path][field] for part in entry.reads for field in part.fields] for entry in entries]


def _states(counters: Sequence[Counter], counts: Sequence[Sequence[int]], now: int) -> tuple[LimitState, ...]:
    states = []
    for each, row in zip(counters, counts, strict=True):
        limit, stands = each.limit, standing(each.window, row, now)
        states.append(
            LimitState(
                limit.name,
                limit.kind,
                limit.amount,
                limit.window_seconds,
                stands.remaining,
                reset_seconds=stands.whole_after / _SECOND,
                more_seconds=stands.more_after / _SECOND,
            )
        )
    return tuple(states)
