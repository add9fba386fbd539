"""The limits of the policy over the document store: reserve, settle, and what applies while the store fails."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from shared.admission.cells import Changes
from shared.admission.charging import Asked, Charged, Charging, log_unchanged
from shared.admission.chunks import Purse
from shared.admission.counters import Counter, Rule, lease_window, subject_of
from shared.admission.denials import DenialCache
from shared.admission.memory import MemoryDocuments
from shared.admission.port import AdmissionUnavailable, LargerThanLimit, LimitExceeded, Reservation, Unknown, Usage
from shared.admission.windows import Day, Period, window_of
from shared.clock import Clock
from shared.errors import StoreContended, StoreUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, PolicyFile, RateLimit
from shared.stores.documents import DocumentStore
from shared.stores.grouping import Groups
from shared.web.log import log

_DAY_SECONDS = 86_400
_LEASE_SECONDS = 150
_GRACE_SECONDS = 30
"""A lease lasts so much longer than the longest call."""

_PURSES = 10_000
_KNOWN = 10_000


class _GroupKey(msgspec.Struct, frozen=True, cache_hash=True):
    """Requests whose commits touch the same documents."""

    key_id: str
    counters: tuple[tuple[str, str], ...]


class _Applying(NamedTuple):
    """The limits that are for such requests, each as it counts this caller."""

    counters: Sequence[Counter]
    group: _GroupKey


class _Requested(NamedTuple):
    """A request in the queue."""

    counters: Sequence[Counter]
    asked: Asked


class _Kept(Struct):
    """What ``settle`` needs of a reservation."""

    limiter: Limiter
    group: _GroupKey
    charged: list[Charged]


class Limiter:
    """Limits per key, user, tenant and for everyone. Thread-safe; an ``Admission``.

    A limit per user applies to callers whose user is known. Window arithmetic and the proof that it
    is exact are in ``shared.admission.windows``.

    Args:
        documents: Where the counts lie.
        limits: The policy's.
        policy: What happens around them.
        clock: Tells the time until the store's is known.
        lease_seconds: As long as no call lasts: what a process that was killed held is free again after that.
    """

    def __init__(
        self,
        documents: DocumentStore,
        limits: Sequence[RateLimit],
        policy: AdmissionPolicy,
        clock: Clock,
        *,
        lease_seconds: int = _LEASE_SECONDS,
    ) -> None:
        lease = lease_window(lease_seconds, policy.deadline_ms)
        self._rules = [Rule(limit, lease, policy.deadline_ms) for limit in limits]
        self._charging = Charging(
            documents, clock, _numbering(self._rules, policy), self._purse, policy.deadline_ms * 1_000_000
        )
        self._policy = policy
        self._denials = DenialCache()
        self._groups: Groups[_Requested | Changes] = Groups(self._run)
        self._purses: dict[tuple[str, str], Purse] = {}
        self._known: dict[tuple[str, str, str | None, str], _Applying] = {}
        self._lock = threading.Lock()
        self._local = _local(limits, policy, clock, lease_seconds) if policy.fail == "local" else None

    def reserve(self, caller: Caller, model: str, estimate: Usage) -> Reservation:
        """See ``Admission``."""
        (counters, group), costs = self._applying(caller, model, estimate)
        now = self._charging.now()
        for counter, cost in zip(counters, costs, strict=True):
            if counter.rule.enforced and (denial := self._denials.find(counter.identity, cost, now)):
                raise denial.error(now)
        asked = Asked(costs)
        self._groups.submit(group, _Requested(counters, asked))
        if isinstance(asked.failure, StoreUnavailable):
            return self._unavailable(caller, model, estimate, asked, counters)
        if asked.failure is not None:
            raise asked.failure
        if asked.number is None:
            raise RuntimeError("A request was charged without a number.")
        if asked.denial is not None and asked.denied_by is not None:
            self._denials.add(asked.denied_by.identity, asked.denial)
            raise asked.denial.error(asked.denial.at, seq=asked.number.seq, epoch=asked.number.epoch)
        if asked.over:
            log("WARNING", "admission.over", limits=",".join(asked.over), key_id=caller.key_id)
        kept = _Kept(self, group, asked.charged or [])
        number = asked.number
        return Reservation(asked.states, number.seq, number.epoch, asked.committed, over=asked.over, charges=kept)

    def settle(self, reservation: Reservation, actual: Usage) -> None:
        """Turn the charge into what was really used. Never raises; a failure is logged."""
        kept = reservation.charges
        if not isinstance(kept, _Kept):
            return
        charged, kept.charged = kept.charged, []  # a second call finds nothing
        kept.limiter._settle(kept.group, charged, actual)

    def _applying(self, caller: Caller, model: str, estimate: Usage) -> tuple[_Applying, tuple[int, ...]]:
        """What the request is charged for, and how much.

        Raises:
            LargerThanLimit: Too much for a limit by itself.
        """
        applying = self._such(caller, model)
        costs = []
        for counter in applying.counters:
            rule = counter.rule
            costs.append(cost := rule.cost(estimate))
            if cost > rule.most:
                raise LargerThanLimit(rule.limit.name, rule.limit.kind, rule.limit.amount, cost)
        if all(costs):
            return applying, tuple(costs)
        charged = [counter for counter, cost in zip(applying.counters, costs, strict=True) if cost]
        return _applying(caller, charged), tuple([cost for cost in costs if cost])

    def _such(self, caller: Caller, model: str) -> _Applying:
        """What is charged for requests of this caller for this model."""
        key = (caller.tenant, caller.key_id, caller.user, model)
        applying = self._known.get(key)
        if applying is None:
            applying = _applying(
                caller,
                [
                    Counter(rule, subject)
                    for rule in self._rules
                    if (subject := subject_of(rule.limit, caller)) is not None and rule.counts(caller, model)
                ],
            )
            with self._lock:
                if len(self._known) >= _KNOWN:
                    self._known = {}
                self._known[key] = applying
        return applying

    def _run(self, key: Hashable, group: Sequence[_Requested | Changes]) -> None:
        """Commit a group. Every request is told what became of it; corrections never fail."""
        requests = [each for each in group if isinstance(each, _Requested)]
        corrections = [each for each in group if isinstance(each, Changes)]
        if not requests or not isinstance(key, _GroupKey):
            self._change(corrections)
            return
        asked = [each.asked for each in requests]
        try:
            self._charging.charge(key.key_id, requests[0].counters, asked, corrections)
        except StoreContended as error:  # nothing was charged or corrected: whoever has ended need not be the loser
            _fail(asked, error)
            self._change(corrections)
        except StoreUnavailable as error:
            # Nobody knows what was charged and corrected, so neither may be done again.
            _fail(asked, error)
            if corrections:
                log_unchanged(error)
        except Exception as error:  # a fault of one must not become that of all, and each waits to be told
            if len(requests) == 1 and not corrections:
                _fail(asked, error)
                return
            for correction in corrections:
                self._change([correction])
            for each in requests:
                if each.asked.charged is None and each.asked.denial is None:
                    self._run(key, [each])

    def _change(self, corrections: Sequence[Changes]) -> None:
        """Commit corrections, each by itself where the store does not take them together."""
        changes = Changes()
        for correction in corrections:
            changes.merge(correction)
        try:
            self._charging.change(changes)
        except Exception as error:  # a fault of one must not become that of all, and nobody waits for it
            if len(corrections) == 1:
                log("ERROR", "admission.change_refused", error=type(error).__name__)
                return
            for correction in corrections:
                self._change([correction])

    def _settle(self, group: _GroupKey, charged: Sequence[Charged], actual: Usage) -> None:
        now = self._charging.now()
        changes = Changes()
        for each in charged:
            self._correct(each, each.counter.rule.used(actual), now, changes)
        if changes:
            self._groups.submit(group, changes)

    def _correct(self, each: Charged, used: int, now: int, changes: Changes) -> None:
        """Turn what one limit was charged into what was used."""
        counter, charge = each.counter, each.charge
        # A bucket that has left its window counts no more, and may be gone: a change would bring it back.
        counts = self._charging.counts_still(charge, now)
        if counter.rule.lease is not None:
            if counts:
                changes.add(charge.path, charge.field, -charge.amount)
            if used:
                # In a bucket too early it would leave too early; in the next one it is read all the same.
                at = each.at if isinstance(counter.rule.period, Day) else self._charging.latest()
                counter.spend(at, used, changes)
        elif used == charge.amount or not counts:
            return
        elif purse := self._purse(counter):
            purse.refund(charge, charge.amount - used)
            changes.take_back(purse.due(now, all_of_it=False))
        else:
            changes.add(charge.path, charge.field, used - charge.amount)

    def _purse(self, counter: Counter) -> Purse | None:
        if not counter.rule.chunked:
            return None
        purse = self._purses.get(counter.identity)
        if purse is None:
            with self._lock:
                if len(self._purses) >= _PURSES:
                    self._purses = {}  # what they hold goes with its bucket
                purse = self._purses.setdefault(counter.identity, Purse(counter.rule.limit.amount))
        return purse

    def _unavailable(
        self, caller: Caller, model: str, estimate: Usage, asked: Asked, counters: Sequence[Counter]
    ) -> Reservation:
        """What the policy has for a request whose limits cannot be read."""
        unknown = None
        if not isinstance(asked.failure, StoreContended):
            names = [counter.rule.limit.name for counter in counters]
            unknown = Unknown(self._charging.now(), tuple(zip(names, asked.costs, strict=True)))
        log("ERROR", "admission.unavailable", mode=self._policy.fail)
        if unknown is not None:
            costs = ",".join(f"{name}={cost}" for name, cost in unknown.costs)
            log("ERROR", "admission.unknown", key_id=caller.key_id, costs=costs)
        if self._local is not None:
            try:
                reservation = self._local.reserve(caller, model, estimate)
            except LimitExceeded as denial:
                denial.seq = denial.epoch = None  # the numbers in memory are no one's business
                denial.mode, denial.unknown = "local", unknown
                raise
            except LargerThanLimit as larger:  # than this process's share of it: another time it may pass
                raise AdmissionUnavailable(unknown) from larger
            return msgspec.structs.replace(reservation, seq=0, epoch="", committed=0, mode="local", unknown=unknown)
        if self._policy.fail == "open":
            return Reservation((), seq=0, epoch="", mode="failed_open", unknown=unknown)
        raise AdmissionUnavailable(unknown) from asked.failure


def _applying(caller: Caller, counters: Sequence[Counter]) -> _Applying:
    return _Applying(counters, _GroupKey(caller.key_id, tuple(counter.identity for counter in counters)))


def connect_limiter(documents: DocumentStore, policy: PolicyFile, clock: Clock) -> Limiter:
    """The limiter that a policy asks for."""
    return Limiter(documents, policy.limits, policy.admission, clock, lease_seconds=lease_seconds(policy))


def lease_seconds(policy: PolicyFile) -> int:
    """How long what a call holds is held at most: longer than any call lasts."""
    return policy.calls.deadline_seconds + _GRACE_SECONDS


def _numbering(rules: Sequence[Rule], policy: AdmissionPolicy) -> Period:
    """Admissions are numbered in the key's longest-lived document; without a limit per key, in one of its own."""
    return max(
        (rule.period for rule in rules if rule.limit.per == "key"),
        key=lambda period: period.seconds,
        default=window_of(_DAY_SECONDS, policy.deadline_ms),
    )


def _local(limits: Sequence[RateLimit], policy: AdmissionPolicy, clock: Clock, lease_seconds: int) -> Limiter:
    """A limiter of this process alone, for its share of each limit."""
    shares = []
    for limit in limits:
        given = {name: getattr(limit, name) for name in limit.__struct_fields__}
        shares.append(RateLimit(**{**given, "amount": max(1, int(limit.amount * policy.local_share))}))
    return Limiter(MemoryDocuments(clock), shares, AdmissionPolicy(), clock, lease_seconds=lease_seconds)


def _fail(group: Sequence[Asked], error: Exception) -> None:
    for asked in group:
        if asked.charged is None and asked.denial is None:
            asked.failure = error
