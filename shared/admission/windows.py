"""Strict sliding windows in sub-buckets: the arithmetic of admission, pure in (counts, now).

A window of length L is cut into K buckets of width ceil(L / K). Any stretch of length L touches at
most K + 1 buckets, so a request that finds at most N charges in its own bucket and the K older ones
keeps every such stretch at N or fewer: exact, where counters that are fixed, weighted or leaky admit
about 2 N around a boundary. The price is that a charge is held for up to one bucket longer than L.

This needs each charge to lie in the bucket in which it was committed, which the limiter sees to by
the store's commit time. Also read is the next bucket: where commit times step back (a machine's
clock does), the order of commits and the order of their times disagree, and a charge of "the future"
is one that came before.

All times are integers in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SUB_BUCKETS = 12
"""K, where the window is long enough for it: a charge is held at most 1/12 too long."""

EPOCH_BUCKETS = 8 * SUB_BUCKETS
"""A document counts for so many buckets, which bounds its fields; that is 8 windows, or more where K is less."""

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``amount`` in any ``length``. Buckets are numbered from the Unix epoch."""

    amount: int
    length: int
    buckets: int
    """K."""

    width: int
    """Of one bucket."""

    def bucket(self, now: int) -> int:
        """The bucket that ``now`` is in."""
        return now // self.width

    def reads(self, bucket: int) -> range:
        """The buckets that decide on a charge in ``bucket``: the K older ones, itself and the next."""
        return range(bucket - self.buckets, bucket + 2)

    def stale(self, bucket: int) -> range:
        """Buckets that nobody reads any more, even whose clock is one bucket behind."""
        return range(bucket - self.buckets - 3, bucket - self.buckets - 1)

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
        """When an epoch's counts are of no use to anybody."""
        return self.epoch_start(epoch + 1) * self.width + 2 * self.length


def window_of(amount: int, seconds: int, deadline_ms: int) -> Window:
    """A window of ``seconds`` with as many buckets, up to K, as the store's deadline allows.

    A bucket is never shorter than two commit deadlines, so that a slow commit still lands in it.
    """
    length = seconds * _SECOND
    buckets = max(1, min(SUB_BUCKETS, length // (2 * deadline_ms * 1_000_000)))
    return Window(amount, length, buckets, -(-length // buckets))


@dataclass(frozen=True, slots=True)
class Standing:
    """How a limit stands at a time; durations hold if nothing more is charged."""

    remaining: int
    more_after: int
    """Until ``remaining`` grows; 0 where nothing is charged."""

    whole_after: int
    """Until nothing is charged; 0 where nothing is."""


def fits(window: Window, counts: Sequence[int]) -> bool:
    """Whether the charges in ``counts`` (of ``window.reads``, oldest first) keep to the limit."""
    return sum(counts) <= window.amount


def standing(window: Window, counts: Sequence[int], now: int) -> Standing:
    """How the limit stands with these counts (of ``window.reads`` at ``now``, oldest first)."""
    total = sum(counts)
    free = window.amount - total
    if not total:
        return Standing(free, 0, 0)
    return Standing(
        max(0, free), _freed_after(window, counts, max(0, -free) + 1, now), _whole_after(window, counts, now)
    )


def retry_after(window: Window, counts: Sequence[int], cost: int, now: int) -> int:
    """How long until ``cost``, which must not exceed the limit's amount, fits beside these counts."""
    return _freed_after(window, counts, sum(counts) + cost - window.amount, now)


def _freed_after(window: Window, counts: Sequence[int], needed: int, now: int) -> int:
    """How long until the oldest buckets have taken ``needed`` with them."""
    bucket = window.bucket(now) - window.buckets
    for count in counts:
        needed -= count
        if needed <= 0:
            break
        bucket += 1
    return window.leaves(bucket) - now


def _whole_after(window: Window, counts: Sequence[int], now: int) -> int:
    """How long until the newest charge has left."""
    bucket = window.bucket(now) + 1
    for count in reversed(counts):
        if count:
            break
        bucket -= 1
    return window.leaves(bucket) - now


def clock_offset(offset: int, before: int, after: int, committed: int) -> int:
    """How far the store's clock is ahead of ours, corrected as little as one commit's times demand.

    The store committed between our ``before`` and ``after``, so its clock is between
    ``committed - after`` and ``committed - before`` ahead (Cristian's bounds, 1989).
    """
    return max(committed - after, min(offset, committed - before))
