"""Strict sliding windows in sub-buckets, and calendar days: the arithmetic of admission, pure in (counts, now).

A window of length L is cut into K buckets of width ceil(L / K). Any stretch of length L touches at
most K + 1 buckets, so a request that finds at most N charges in its own bucket and the K older ones
keeps every such stretch at N or fewer: exact, where counters that are fixed, weighted or leaky admit
about 2 N around a boundary. The price is that a charge is held for up to one bucket longer than L.

This needs each charge to lie in the bucket in which it was committed, which the limiter sees to by
the store's commit time. Also read is the next bucket: where commit times step back (a machine's
clock does), the order of commits and the order of their times disagree, and a charge of "the future"
is one that came before.

Calls that run are leases, and so are estimates of money and of a day's budget: charges in a window as
long as the longest call, each taken back when its call ends. One that nobody takes back, because its
process was killed, leaves with its bucket.

All times are integers in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple, Protocol

from msgspec import Struct

SUB_BUCKETS = 12
"""K, where the window is long enough for it: a charge is held at most 1/12 too long."""

EPOCH_BUCKETS = 8 * SUB_BUCKETS
"""A document counts for so many buckets, which bounds its fields; that is 8 windows, or more where K is less."""

_SECOND = 1_000_000_000
_DAYS_KEPT = 2
_KEPT = 3600 * _SECOND
"""Least time for which an epoch's document is kept after its end: the audit trail's seal reads the last number."""


class Period(Protocol):
    """What charges are counted in, by numbered buckets. See ``Window``."""

    def bucket(self, now: int) -> int: ...

    def span(self, bucket: int) -> range: ...

    def reads(self, bucket: int) -> range: ...

    def stale(self, bucket: int) -> range: ...

    def leaves(self, bucket: int) -> int: ...

    def epoch(self, bucket: int) -> int: ...

    def epoch_start(self, epoch: int) -> int: ...

    def epoch_expires(self, epoch: int) -> int: ...

    def epoch_name(self, epoch: int) -> str: ...

    @property
    def seconds(self) -> int: ...


class Window(Struct, frozen=True):
    """Any stretch of ``length``. Buckets are numbered from the Unix epoch."""

    length: int
    buckets: int
    """K."""

    width: int
    """Of one bucket."""

    def bucket(self, now: int) -> int:
        """The bucket that ``now`` is in."""
        return now // self.width

    def span(self, bucket: int) -> range:
        """The times in ``bucket``, as far as that is known without asking for each."""
        return range(bucket * self.width, (bucket + 1) * self.width)

    def reads(self, bucket: int) -> range:
        """The buckets that decide on a charge in ``bucket``: the K older ones, itself and the next."""
        return range(bucket - self.buckets, bucket + 2)

    def stale(self, bucket: int) -> range:
        """Buckets of the same epoch that nobody reads any more, even whose clock is one bucket behind."""
        return range(self.epoch_start(self.epoch(bucket)), bucket - self.buckets - 1)

    def leaves(self, bucket: int) -> int:
        """When ``bucket`` stops counting."""
        return (bucket + self.buckets + 1) * self.width

    def epoch(self, bucket: int) -> int:
        """The epoch that ``bucket`` is counted in; each bucket belongs to exactly one."""
        return bucket // EPOCH_BUCKETS

    def epoch_start(self, epoch: int) -> int:
        """The first bucket of an epoch."""
        return epoch * EPOCH_BUCKETS

    def epoch_expires(self, epoch: int) -> int:
        """When an epoch's counts are of no use to anybody, and its last number has been sealed."""
        return self.epoch_start(epoch + 1) * self.width + max(2 * self.length, _KEPT)

    def epoch_name(self, epoch: int) -> str:
        """An epoch by name: its window's seconds and buckets, and its number."""
        return f"{self.seconds}.{self.buckets}-{epoch}"

    @property
    def seconds(self) -> int:
        """The length."""
        return self.length // _SECOND


class Day(Struct, frozen=True):
    """Calendar days of a time zone, each a bucket and an epoch by itself, numbered as ``date.toordinal`` does."""

    zone: tzinfo
    zone_name: str

    def bucket(self, now: int) -> int:
        """The day that ``now`` is in."""
        return datetime.fromtimestamp(now // _SECOND, self.zone).toordinal()

    def span(self, bucket: int) -> range:
        """None: where a zone's clocks are set back over midnight, a day ends and comes again."""
        return range(0)

    def reads(self, bucket: int) -> range:
        """A day is judged by itself."""
        return range(bucket, bucket + 1)

    def stale(self, bucket: int) -> range:
        """Nothing: a day's document goes as a whole."""
        return range(bucket, bucket)

    def leaves(self, bucket: int) -> int:
        """When the next day begins, which may be 23 to 25 hours after this one did."""
        return _midnight(self.zone, bucket + 1)

    def epoch(self, bucket: int) -> int:
        """The day itself."""
        return bucket

    def epoch_start(self, epoch: int) -> int:
        """The day itself."""
        return epoch

    def epoch_expires(self, epoch: int) -> int:
        """Some days later, when also the calls that ran over midnight have long been counted."""
        return _midnight(self.zone, epoch + 1 + _DAYS_KEPT)

    def epoch_name(self, epoch: int) -> str:
        """The day by name."""
        return f"{self.zone_name}.{date.fromordinal(epoch).isoformat()}"

    @property
    def seconds(self) -> int:
        """How long a day is, as a rule."""
        return 86_400


@lru_cache(maxsize=256)
def _midnight(zone: tzinfo, day: int) -> int:
    """When a day begins, in nanoseconds since the Unix epoch."""
    start = datetime.combine(date.fromordinal(day), time(), zone).astimezone(UTC)
    return (start - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1) * _SECOND


def window_of(seconds: int, deadline_ms: int, sub_buckets: int = SUB_BUCKETS) -> Window:
    """A window of ``seconds`` with as many buckets, up to ``sub_buckets``, as the store's deadline allows.

    A bucket is never shorter than two commit deadlines, so that a slow commit still lands in it.
    """
    length = seconds * _SECOND
    buckets = max(1, min(sub_buckets, length // (2 * deadline_ms * 1_000_000)))
    return Window(length, buckets, -(-length // buckets))


def day_of(time_zone: str) -> Day:
    """Calendar days of a zone of the IANA database.

    Raises:
        ValueError: There is no such zone, or the machine does not know it.
    """
    if time_zone == "UTC":
        return Day(UTC, time_zone)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # a cold start without such a limit does without it

    try:
        return Day(ZoneInfo(time_zone), time_zone)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"No time zone is called {time_zone!r}.") from error


class Held(NamedTuple):
    """A charge that counts, and when it stops counting."""

    amount: int
    leaves: int


def held(period: Period, counts: Sequence[int], now: int, *, at_most: int | None = None) -> list[Held]:
    """The charges in ``counts`` (of ``period.reads`` at ``now``, oldest first), as far as there are any.

    Args:
        period: What they are counted in.
        counts: By bucket.
        now: Nanoseconds since the Unix epoch.
        at_most: Foresee that they leave after so long already: calls that run may end at any time.
    """
    if not any(counts):
        return []
    first = period.reads(period.bucket(now)).start
    soon = None if at_most is None else now + at_most
    charges = []
    for offset, count in enumerate(counts):
        if count:
            leaves = period.leaves(first + offset)
            charges.append(Held(count, leaves if soon is None else min(leaves, soon)))
    return charges


class Standing(NamedTuple):
    """How a limit stands at a time; durations hold if nothing more is charged."""

    remaining: int
    more_after: int
    """Until ``remaining`` grows; 0 where nothing is charged."""

    whole_after: int
    """Until nothing is charged; 0 where nothing is."""


def standing(amount: int, charges: Sequence[Held], now: int) -> Standing:
    """How a limit of ``amount`` stands with these charges."""
    if not charges:
        return Standing(amount, 0, 0)
    free = amount - sum([charge.amount for charge in charges])
    whole_after = max([charge.leaves for charge in charges]) - now
    return Standing(max(0, free), _freed_after(charges, max(0, -free) + 1, now), whole_after)


def retry_after(amount: int, charges: Sequence[Held], cost: int, now: int) -> int:
    """How long until ``cost``, which must not exceed ``amount``, fits beside these charges."""
    return _freed_after(charges, sum(charge.amount for charge in charges) + cost - amount, now)


def _freed_after(charges: Sequence[Held], needed: int, now: int) -> int:
    """How long until those that leave first have taken ``needed`` with them; 0 where nothing is in the way."""
    if not charges or needed <= 0:
        return 0
    for charge in sorted(charges, key=_by_leaving) if len(charges) > 1 else charges:
        needed -= charge.amount
        if needed <= 0:
            break
    return charge.leaves - now


def _by_leaving(charge: Held) -> int:
    return charge.leaves


def clock_offset(offset: int, before: int, after: int, committed: int) -> int:
    """How far the store's clock is ahead of ours, corrected as little as one commit's times demand.

    The store committed between our ``before`` and ``after``, so its clock is between
    ``committed - after`` and ``committed - before`` ahead (Cristian's bounds, 1989).
    """
    return max(committed - after, min(offset, committed - before))
