"""What an onlooker who knows the true time and every answer says of the limits: the least and the most they hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.admission.counters import Rule, lease_window
from shared.admission.port import Reservation, Usage
from shared.admission.windows import Day, Window
from shared.identity.caller import Caller
from shared.policy.types import RateLimit
from tests.support.virtual_time import SECOND

SLACK = 2 * SECOND
"""By so much may the time at which a charge is changed differ from the time at which it was asked for."""

CHUNK, OWED = 8, 16
"""A process keeps at most one part in so many of a limit in chunks, and gives back the rest from one in so many on."""


@dataclass(eq=False)
class Admitted:
    """A request that was let in."""

    caller: Caller
    client: int
    at: int
    """The store's time of its commit."""

    reservation: Reservation
    estimate: Usage
    actual: Usage | None = None
    settled_at: int | None = None
    settled_by: int | None = None
    """No commit before the settlement's has a later time; the store's clock may have stepped back meanwhile."""

    settled_surely: bool = True
    """False where the store may not have taken the settlement."""

    crashed: bool = False

    @property
    def runs(self) -> bool:
        return self.settled_at is None and not self.crashed


@dataclass(eq=False)
class Lost:
    """Charges that may lie in the store although nobody was let in for them."""

    caller: Caller
    at: int
    usage: Usage
    times: int


@dataclass(eq=False)
class Kept:
    """What may stay charged of a limit in chunks although no request holds it."""

    limit: str
    who: str | None
    at: int
    amount: int


@dataclass
class Ledger:
    """Every request that was let in, and every charge that may have been made."""

    lease_seconds: int
    deadline_ms: int
    admitted: list[Admitted] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    purses: dict[tuple[int, str, str | None], Kept] = field(default_factory=dict)
    """What each process that has asked may keep; one that was killed keeps it until that leaves its window."""

    chunks_lost: list[Kept] = field(default_factory=list)
    _rules: dict[str, Rule] = field(default_factory=dict)

    def rule(self, limit: RateLimit) -> Rule:
        rule = self._rules.get(limit.name)
        if rule is None:
            lease = lease_window(self.lease_seconds, self.deadline_ms)
            rule = self._rules[limit.name] = Rule(limit, lease, self.deadline_ms)
        return rule

    def excess(self, limit: RateLimit, since: int) -> list[str]:
        """Where more was let in than the limit grants, judged for whom it counts at each of its admissions from
        ``since`` on.

        Between these what it holds gets less: but for a call that ended after its lease, which nobody was kept out for.
        """
        moments = {(subject(limit, each.caller), each.at) for each in self.admitted if each.at >= since}
        found = []
        for who, now in moments:
            if who is not None and (total := self._total(limit, who, now)) > limit.amount:
                found.append(f"{limit.name}: {total} for {who!r}")
        return found

    def most(self, limit: RateLimit, caller: Caller, now: int) -> int:
        """The most that the limit can hold for this caller in the store at ``now`` or later."""
        rule, who = self.rule(limit), subject(limit, caller)
        held = sum(self._most(rule, each, now) for each in self.admitted if subject(limit, each.caller) == who)
        for each in self.lost:
            if subject(limit, each.caller) == who and self._counts(rule, rule.lease or rule.period, each.at, now):
                held += rule.cost(each.usage) * each.times
        for kept in (*self.purses.values(), *self.chunks_lost):
            if (kept.limit, kept.who) == (limit.name, who) and self._counts(rule, rule.period, kept.at, now):
                held += kept.amount
        return held

    def asked(self, process: int, limit: RateLimit, caller: Caller, at: int) -> None:
        """A process has charged a limit, and may have taken a chunk of it."""
        if self.rule(limit).chunked:
            who = subject(limit, caller)
            self.purses[process, limit.name, who] = Kept(limit.name, who, at, _kept(limit))

    def lose_chunks(self, limit: RateLimit, caller: Caller, at: int, times: int) -> None:
        """Commits may have taken a chunk, or may not have given one back."""
        if self.rule(limit).chunked:
            self.chunks_lost.append(Kept(limit.name, subject(limit, caller), at, times * _kept(limit)))

    def least(self, limit: RateLimit, caller: Caller, now: int) -> int:
        """The least that the limit must hold for this caller at ``now``."""
        return self._total(limit, subject(limit, caller), now)

    def _total(self, limit: RateLimit, who: str | None, now: int) -> int:
        rule = self.rule(limit)
        return sum(self._least(rule, each, now) for each in self.admitted if subject(limit, each.caller) == who)

    def _least(self, rule: Rule, each: Admitted, now: int) -> int:
        """What the limit must hold of a request at ``now`` at least."""
        if each.at > now:
            return 0
        estimate, actual = rule.cost(each.estimate), rule.used(each.actual or each.estimate)
        ended = each.settled_at is not None and each.settled_at <= now
        if each.settled_at is not None and each.settled_at - each.at >= self.lease_seconds * SECOND:
            # It held no more, so until its end was charged others were let in for that.
            ended = each.settled_by is not None and each.settled_by < now
        runs = not ended and not each.crashed and now - each.at < self.lease_seconds * SECOND
        if rule.limit.kind == "concurrency":
            return int(runs)
        inside = _inside(rule, each.at, now)
        if rule.lease is None:
            return actual if inside else 0
        if each.settled_at is None or not ended or not each.settled_surely:
            return estimate if runs and (inside or not isinstance(rule.period, Day)) else 0
        spent_at = each.at if isinstance(rule.period, Day) else each.settled_at
        return actual if _inside(rule, spent_at, now) else 0

    def _most(self, rule: Rule, each: Admitted, now: int) -> int:
        """What the limit can hold of a request at ``now`` at most: charges count for up to a bucket too long."""
        estimate = rule.cost(each.estimate)
        period = rule.lease or rule.period
        held = estimate if self._counts(rule, period, each.at, now) else 0
        if each.settled_at is None or each.actual is None:
            return held
        actual = rule.used(each.actual)
        # A charge that is about to leave anyway is not corrected any more, and one that ends meanwhile not yet.
        corrected = each.settled_surely and each.settled_at < min(now, each.at + _length(period) - SLACK)
        if rule.lease is None:
            return (actual if corrected else max(estimate, actual)) if held else 0
        spent_at = each.at if isinstance(rule.period, Day) else each.settled_at + SLACK
        spent = actual if self._counts(rule, rule.period, spent_at, now) else 0
        return spent if corrected else held + spent

    def _counts(self, rule: Rule, period: Window | Day, at: int, now: int) -> bool:
        if isinstance(rule.period, Day) and rule.period.bucket(at) < rule.period.bucket(now):
            return False  # of a later day: charged meanwhile, or before the store's clock stepped back
        return isinstance(period, Day) or now < at + period.length + period.width


def subject(limit: RateLimit, caller: Caller) -> str | None:
    """Whom the limit counts."""
    match limit.per:
        case "key":
            return caller.key_id
        case "user":
            return caller.user
        case "tenant":
            return caller.tenant
        case _:
            return ""


def _inside(rule: Rule, at: int, now: int) -> bool:
    """Whether a charge made at ``at`` lies in the stretch of the limit's length that ends at ``now``."""
    if isinstance(rule.period, Day):
        return rule.period.bucket(at) == rule.period.bucket(now)
    return now - at < rule.period.length


def _kept(limit: RateLimit) -> int:
    return limit.amount // CHUNK + (limit.amount - 1) // OWED


def _length(period: Window | Day) -> int:
    return 23 * 3600 * SECOND if isinstance(period, Day) else period.length
