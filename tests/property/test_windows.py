"""The window arithmetic lets no more than N through in any window, and its durations are exact."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.admission.windows import Window, clock_offset, held, retry_after, standing, window_of
from shared.errors import ServiceUnavailable
from shared.identity.caller import DEFAULT_SCOPES, Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from tests.support.virtual_time import SECOND, ManualClock, SkewedClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset(DEFAULT_SCOPES))
START = 1_800_000_000 * SECOND

amounts = st.integers(1, 6)
windows = st.builds(window_of, seconds=st.sampled_from([1, 2, 7, 60, 3600]), deadline_ms=st.just(300))
# Fractions of a window: mostly short, with some that cross several buckets or windows.
gaps = st.one_of(st.floats(0, 0.12), st.floats(0, 2.5))


def counts_at(window: Window, charges: Counter[int], now: int) -> list[int]:
    return [charges[bucket] for bucket in window.reads(window.bucket(now))]


def assert_strict(times: list[int], window: Window, amount: int) -> None:
    """No window of the limit's length, wherever it starts, holds more than its amount."""
    times = sorted(times)
    for first, beyond in zip(times, times[amount:], strict=False):
        assert beyond - first >= window.length


@given(windows, amounts, st.lists(gaps, max_size=60))
def test_no_schedule_gets_more_than_the_amount_through_any_window(
    window: Window, amount: int, schedule: list[float]
) -> None:
    now, charges, admitted = START, Counter(), []
    for gap in schedule:
        now += int(gap * window.length)
        charges[window.bucket(now)] += 1
        if sum(counts_at(window, charges, now)) <= amount:
            admitted.append(now)
        else:
            charges[window.bucket(now)] -= 1
    assert_strict(admitted, window, amount)


@given(windows, amounts, st.lists(gaps, min_size=1, max_size=40))
def test_durations_are_exact_to_the_nanosecond(window: Window, amount: int, schedule: list[float]) -> None:
    now, charges = START, Counter()
    for gap in schedule:
        now += int(gap * window.length)
        if sum(counts_at(window, charges, now)) < amount:
            charges[window.bucket(now)] += 1
    counts = counts_at(window, charges, now)
    now_held = held(window, counts, now)
    stands = standing(amount, now_held, now)

    def free(at: int) -> int:
        return amount - sum(counts_at(window, charges, at))

    assert stands.remaining == free(now)
    if stands.whole_after:
        assert free(now + stands.whole_after) == amount
        assert free(now + stands.whole_after - 1) < amount
        assert free(now + stands.more_after) > stands.remaining
        assert free(now + stands.more_after - 1) == stands.remaining
    else:
        assert free(now) == amount
    if not stands.remaining:
        wait = retry_after(amount, now_held, 1, now)
        assert wait == stands.more_after
        assert wait <= window.length + window.width


@given(windows, st.integers(0, 2**62))
def test_each_bucket_lies_in_one_epoch_of_at_least_eight_windows(window: Window, now: int) -> None:
    bucket = window.bucket(now)
    epoch = window.epoch(bucket)
    first, beyond = window.epoch_start(epoch), window.epoch_start(epoch + 1)
    assert first <= bucket < beyond
    assert {window.epoch(first - 1), window.epoch(first), window.epoch(beyond - 1)} == {epoch - 1, epoch}
    assert (beyond - first) * window.width >= 8 * window.length
    assert window.epoch_expires(epoch) >= window.leaves(beyond - 1)
    assert not set(window.stale(bucket)) & set(window.reads(bucket - 1)), "a reader one bucket behind still needs it"


@given(windows, st.integers(0, 2**62))
def test_a_buckets_times_are_its_own(window: Window, now: int) -> None:
    span = window.span(window.bucket(now))
    assert now in span
    assert {window.bucket(at) for at in (span.start, span.stop - 1)} == {window.bucket(now)}
    assert window.bucket(span.start - 1) < window.bucket(now) < window.bucket(span.stop)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(-(10**12), 10**12))
def test_the_clock_offset_is_moved_only_as_far_as_needed(truth: int, out: int, back: int, guess: int) -> None:
    before = START
    after = before + out + back
    offset = clock_offset(guess, before, after, before + out + truth)
    assert -out <= truth - offset <= back
    assert before + offset <= before + out + truth <= after + offset


@pytest.mark.parametrize(("seconds", "buckets"), [(1, 1), (2, 3), (7, 11), (60, 12), (86_400, 12)])
def test_buckets_last_at_least_two_commit_deadlines(seconds: int, buckets: int) -> None:
    window = window_of(seconds, 300)
    assert window.buckets == buckets
    assert window.width >= 600_000_000
    assert window.width * window.buckets >= window.length


steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # which client
        gaps,
        st.one_of(st.just(0.0), st.floats(0, 0.3)),  # on the way to the store, in windows
        st.one_of(st.just(0.0), st.floats(0, 0.3)),  # on the way back
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(windows, amounts, st.lists(st.floats(-3, 3), min_size=3, max_size=3), steps)
def test_the_limiter_is_strict_by_commit_time_with_slow_commits_and_wrong_clocks(
    window: Window, amount: int, skews: list[float], schedule: list[tuple[int, float, float, float]]
) -> None:
    clock = ManualClock()
    store = VirtualDocuments(clock)
    limit = RateLimit(name="test", amount=amount, window_seconds=window.length // SECOND)
    clients = [
        Limiter(store, [limit], AdmissionPolicy(), SkewedClock(clock, int(skew * window.length))) for skew in skews
    ]
    admitted: list[int] = []
    numbers: list[tuple[str, int]] = []
    for client, gap, out, back in schedule:
        clock.now += int(gap * window.length)
        store.before = lambda out=out: setattr(clock, "now", clock.now + int(out * window.length))
        store.after = lambda back=back: setattr(clock, "now", clock.now + int(back * window.length))
        try:
            reservation = clients[client].reserve(CALLER, "default", Usage())
        except LimitExceeded as denied:
            if denied.seq is not None:
                numbers.append((denied.epoch, denied.seq))
        except ServiceUnavailable:
            pass  # every commit took longer than a bucket
        else:
            admitted.append(store.commits[-1])
            numbers.append((reservation.epoch, reservation.seq))
    assert_strict(admitted, window, amount)
    assert len(set(numbers)) == len(numbers), "no number is given twice"
