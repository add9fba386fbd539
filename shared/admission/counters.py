"""The limits of the policy, made ready to count: what each charges, where, and what is read to judge it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from shared.admission.cells import Cells, Changes, Charge, Fields, Values, document
from shared.admission.port import Usage
from shared.admission.windows import Day, Held, Period, Window, day_of, held, window_of
from shared.identity.caller import Caller
from shared.policy.types import RateLimit

LEASE_BUCKETS = 4
"""Slots of a lease: one that is never taken back lasts a quarter too long."""

ENDS_SOON = 1_000_000_000
"""A call that runs may end at any time: whoever waits for it is told to come back after a second."""

_CLEANED = 10_000


class _Layout:
    """Where a counter reads and charges while the buckets last."""

    __slots__ = ("buckets", "epoch", "field", "fields", "lease_reads", "leaves", "path", "period", "reads", "span")

    def __init__(
        self,
        buckets: tuple[int, int],
        span: range,
        reads: tuple[Cells, ...],
        lease_reads: tuple[Cells, ...],
        charged: Cells,
        period: Period,
        fields: Fields,
        bucket: int,
    ) -> None:
        self.buckets = buckets
        self.span = span
        """Times that are surely in them."""
        self.reads = reads
        self.lease_reads = lease_reads
        self.path = charged.path
        (self.field,) = charged.fields
        self.period = period
        self.fields = fields
        self.epoch = period.epoch(bucket)
        self.leaves = period.leaves(bucket)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What one limit puts into a commit."""

    at: int
    """When, in nanoseconds since the Unix epoch."""

    charge: Charge
    reads: tuple[Cells, ...]
    """Where the counts of ``period.reads`` will be found, oldest first."""

    lease_reads: tuple[Cells, ...] = ()
    """The same for the estimates of calls that run, where they are kept apart."""


class Rule:
    """One limit of the policy, made ready to count. Thread-safe.

    Requests and tokens of a window are charged where they count. What a call may cost of a day's tokens
    or of any money is held as a lease while it runs, and its real cost is charged when it ends, so that
    a process that is killed leaves no charge behind. Calls that run at once are nothing but leases.

    Args:
        limit: The limit.
        lease: As long as the longest call.
        deadline_ms: Of the store.
    """

    def __init__(self, limit: RateLimit, lease: Window, deadline_ms: int) -> None:
        self.limit = limit
        self.enforced = limit.mode == "enforce"
        self.period: Period
        if limit.kind == "concurrency":
            self.period = lease
        elif limit.window == "day":
            self.period = day_of(limit.time_zone)
        elif limit.window_seconds is not None:
            self.period = window_of(limit.window_seconds, deadline_ms)
        else:
            raise ValueError(f"Limit '{limit.name}' has no window.")
        estimated = limit.kind == "cost" or (limit.kind == "tokens" and limit.window == "day")
        self.lease = lease if estimated else None
        self.chunked = (
            limit.per in ("tenant", "global") and limit.kind in ("requests", "tokens") and limit.window == "sliding"
        )
        """Whether a process takes more than it needs at once, so that a document of many is written less often."""
        self.most = limit.amount if self.enforced else sys.maxsize
        """A request that is charged more is never let in."""
        self.used = _USED[limit.kind]
        """What stays charged of a request that has ended."""
        self.cost = _one if limit.kind == "concurrency" else self.used
        """What the limit counts of a request's estimate."""
        self.fields = Fields("n", limit)
        self._lease_fields: dict[int | None, Fields] = {}
        self._cleaned: dict[str, int] = {}

    def counts(self, caller: Caller, model: str) -> bool:
        """Whether the limit is for such requests at all."""
        limit = self.limit
        return (
            (limit.tenant is None or limit.tenant == caller.tenant)
            and (limit.key is None or limit.key == caller.key_id)
            and (limit.model is None or limit.model == model)
        )

    def lease_fields(self, bucket: int) -> Fields:
        """Fields for the estimates of calls that run; each day of a daily budget has its own."""
        day = bucket if isinstance(self.period, Day) else None
        fields = self._lease_fields.get(day)
        if fields is None:
            fields = Fields("h", self.limit, day)
            self._lease_fields = {**self._lease_fields, day: fields} if len(self._lease_fields) < 3 else {day: fields}
        return fields

    def to_clean(self, path: str, period: Period, epoch: int, seen: int) -> range:
        """Buckets to remove from a document: nobody reads them any more, and this process has not removed them yet.

        Args:
            path: The document.
            period: What it counts by.
            epoch: Which part of that.
            seen: Some time of a commit, by the store's clock: ours may be wrong by now.
        """
        bucket = period.bucket(seen)
        if period.epoch(bucket) != epoch:
            return range(0)
        stale = period.stale(bucket)
        start = max(stale.start, self._cleaned.get(path, stale.start))
        if start >= stale.stop:
            return range(0)
        if len(self._cleaned) >= _CLEANED:
            self._cleaned = {}
        self._cleaned[path] = stale.stop
        return range(start, stale.stop)


def _one(_: Usage) -> int:
    return 1


_USED: dict[str, Callable[[Usage], int]] = {
    "requests": lambda usage: usage.requests,
    "tokens": lambda usage: usage.prompt_tokens + usage.completion_tokens,
    "cost": lambda usage: usage.cost,
    "concurrency": lambda _: 0,
}


class Counter:
    """One limit of the policy, as it counts one subject."""

    __slots__ = ("_known", "identity", "rule", "subject")

    def __init__(self, rule: Rule, subject: str) -> None:
        self.rule = rule
        self.subject = subject
        self.identity = (rule.limit.name, subject)
        """Names the counter among all."""
        self._known: _Layout | None = None

    def enter(self, now: int, amount: int, changes: Changes, *, seen: int | None = None) -> Entry:
        """Charge ``amount`` at ``now``, and read every bucket that decides on it.

        Args:
            now: Nanoseconds since the Unix epoch.
            amount: What is charged.
            changes: Gathers it.
            seen: A commit's time: buckets that nobody has read since are removed too. None: none are.
        """
        layout = self._layout(now)
        for cells in layout.reads:
            changes.read(cells)
        for cells in layout.lease_reads:
            changes.read(cells)
        path, field = layout.path, layout.field
        changes.add(path, field, amount)
        if seen is not None and (stale := self.rule.to_clean(path, layout.period, layout.epoch, seen)):
            changes.remove(path, layout.fields.of(stale).names)
        return Entry(now, Charge(path, field, amount, layout.leaves), layout.reads, layout.lease_reads)

    def spend(self, at: int, amount: int, changes: Changes) -> None:
        """Charge what a call has really cost of a budget that its estimate was a lease on.

        Args:
            at: Of a budget for a day, when the call began; of a window, when it ended.
            amount: The cost.
            changes: Gathers it.
        """
        period = self.rule.period
        bucket = period.bucket(at)
        (cells,) = self._cells(period, self.rule.fields, range(bucket, bucket + 1))
        changes.read(cells)
        changes.add(cells.path, cells.fields[0], amount)

    def held(self, entry: Entry, values: Values) -> list[Held]:
        """The charges that count at the entry's time, from the values that a commit answered."""
        rule = self.rule
        soon = ENDS_SOON if rule.limit.kind == "concurrency" else None
        charges = held(rule.period, _row(entry.reads, values), entry.at, at_most=soon)
        if rule.lease is not None:
            charges += held(rule.lease, _row(entry.lease_reads, values), entry.at, at_most=ENDS_SOON)
        return charges

    def landed(self, now: int, committed: int) -> bool:
        """Whether a commit came in the buckets that it was made for at ``now``."""
        layout = self._layout(now)
        return committed in layout.span or self._buckets(committed) == layout.buckets

    def _buckets(self, now: int) -> tuple[int, int]:
        """The bucket of the limit, and that of the lease where there is one."""
        rule = self.rule
        return rule.period.bucket(now), 0 if rule.lease is None else rule.lease.bucket(now)

    def _layout(self, now: int) -> _Layout:
        """As it was for the last request, unless another bucket has begun."""
        known = self._known
        if known is not None and now in known.span:
            return known
        buckets = self._buckets(now)
        if known is None or known.buckets != buckets:
            known = self._known = self._make_layout(buckets)
        return known

    def _make_layout(self, buckets: tuple[int, int]) -> _Layout:
        rule, (bucket, lease_bucket) = self.rule, buckets
        reads, span = self._cells(rule.period, rule.fields, rule.period.reads(bucket)), rule.period.span(bucket)
        if rule.lease is None:
            (charged,) = self._cells(rule.period, rule.fields, range(bucket, bucket + 1))
            return _Layout(buckets, span, reads, (), charged, rule.period, rule.fields, bucket)
        fields, lease_span = rule.lease_fields(bucket), rule.lease.span(lease_bucket)
        span = range(max(span.start, lease_span.start), min(span.stop, lease_span.stop))
        lease_reads = self._cells(rule.lease, fields, rule.lease.reads(lease_bucket))
        (charged,) = self._cells(rule.lease, fields, range(lease_bucket, lease_bucket + 1))
        return _Layout(buckets, span, reads, lease_reads, charged, rule.lease, fields, lease_bucket)

    def _cells(self, period: Period, fields: Fields, buckets: range) -> tuple[Cells, ...]:
        """The fields of some buckets, by document: mostly one, at most two."""
        cells = []
        for epoch in range(period.epoch(buckets.start), period.epoch(buckets.stop - 1) + 1):
            start, end = period.epoch_start(epoch), period.epoch_start(epoch + 1)
            inside = range(max(buckets.start, start), min(buckets.stop, end))
            path = document(self.rule.limit.per, self.subject, period.epoch_name(epoch))
            cells.append(Cells(path, fields.of(inside), period.epoch_expires(epoch)))
        return tuple(cells)


def subject_of(limit: RateLimit, caller: Caller) -> str | None:
    """Whom ``limit`` counts for this caller; None where it does not apply to it."""
    match limit.per:
        case "key":
            return caller.key_id
        case "user":
            return None if caller.user is None else f"{caller.tenant}\0{caller.user}"
        case "tenant":
            return caller.tenant
        case _:
            return ""


def lease_window(seconds: int, deadline_ms: int) -> Window:
    """The window of leases that last ``seconds``."""
    return window_of(seconds, deadline_ms, LEASE_BUCKETS)


def _row(reads: tuple[Cells, ...], values: Values) -> list[int]:
    row: list[int] = []
    for part in reads:
        row += map(values[part.path].__getitem__, part.fields)
    return row
