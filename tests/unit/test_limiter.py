"""The limiter on a document store in virtual time: what is charged, numbered, denied, refunded and forgotten."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Reservation, Usage
from shared.errors import ServiceUnavailable
from shared.identity.caller import DEFAULT_SCOPES, Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.web.responses import error_body
from tests.support.virtual_time import SECOND, ManualClock, SkewedClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset(DEFAULT_SCOPES))
MINUTE = RateLimit(name="requests-per-minute", amount=3, window_seconds=60)


class World:
    """A store, a clock and limiters on them, as processes would have them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = VirtualDocuments(self.clock)

    def limiter(self, *limits: RateLimit, fail: str = "closed") -> Limiter:
        return Limiter(self.store, limits, AdmissionPolicy(fail=fail), self.clock)

    def counts(self) -> list[dict[str, int]]:
        return [counts_in(fields) for fields, _ in self.store.documents.values()]


@pytest.fixture
def world() -> World:
    return World()


def reserve(limiter: Limiter, caller: Caller = CALLER) -> Reservation:
    return limiter.reserve(caller, "default", Usage())


def denied(limiter: Limiter, caller: Caller = CALLER) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as caught:
        reserve(limiter, caller)
    return caught.value


def test_an_admission_is_one_commit_and_says_how_the_limit_stands(world: World) -> None:
    limiter = world.limiter(MINUTE)
    first = reserve(limiter)
    assert len(world.store.commits) == 1
    (state,) = first.limits
    assert (state.name, state.kind, state.amount, state.window_seconds) == ("requests-per-minute", "requests", 3, 60)
    assert state.remaining == 2
    assert 60 <= state.reset_seconds <= 65
    assert (first.seq, first.mode) == (1, "normal")
    assert [reserve(limiter).limits[0].remaining for _ in range(2)] == [1, 0]


def test_a_denial_is_undone_and_retried_after_the_exact_time(world: World) -> None:
    limiter = world.limiter(MINUTE)
    for _ in range(3):
        reserve(limiter)
        world.clock.advance(7)
    error = denied(limiter)
    assert error.status == 429
    assert error.exceeded.remaining == 0
    assert max(sum(counts.values()) for counts in world.counts()) == 3
    world.clock.now += round(error.retry_after * SECOND) - 1
    assert denied(world.limiter(MINUTE)).retry_after <= 2e-9
    world.clock.now += 2
    reserve(world.limiter(MINUTE))
    denied(world.limiter(MINUTE))


def test_a_denial_is_repeated_for_a_second_without_a_commit(world: World) -> None:
    limiter = world.limiter(MINUTE)
    for _ in range(3):
        reserve(limiter)
    first = denied(limiter)
    assert first.seq == 4
    commits = len(world.store.commits)
    world.clock.advance(0.5)
    second = denied(limiter)
    assert len(world.store.commits) == commits
    assert second.seq is None
    assert second.epoch is None
    assert second.retry_after == pytest.approx(first.retry_after - 0.5)
    assert second.limits[0].more_seconds == pytest.approx(second.retry_after)
    world.clock.advance(0.6)
    assert denied(limiter).seq == 5
    denied(limiter, replace(CALLER))
    reserve(limiter, replace(CALLER, key_id="key-2"))


def test_a_repeated_denial_ends_with_the_limit(world: World) -> None:
    limiter = world.limiter(MINUTE)
    for _ in range(3):
        reserve(limiter)
    world.clock.advance(denied(limiter).retry_after - 0.4)
    assert 0 < denied(limiter).retry_after <= 0.4
    world.clock.advance(0.41)
    reserve(limiter)


def test_denials_that_are_remembered_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.admission.denials.CAPACITY", 5)
    limiter = world.limiter(replace_limit(MINUTE, amount=1))
    for number in range(20):
        caller = replace(CALLER, key_id=f"key-{number}")
        reserve(limiter, caller)
        denied(limiter, caller)
        assert len(limiter._denials) <= 5


def replace_limit(limit: RateLimit, **changes: object) -> RateLimit:
    fields = {name: getattr(limit, name) for name in limit.__struct_fields__}
    return RateLimit(**{**fields, **changes})


def test_all_limits_are_charged_or_none(world: World) -> None:
    wide = RateLimit(name="tenant", amount=2, window_seconds=120, per="tenant")
    narrow = RateLimit(name="key", amount=1, window_seconds=60)
    limiter = world.limiter(wide, narrow)
    assert [state.remaining for state in reserve(limiter).limits] == [1, 0]
    error = denied(limiter)
    assert error.exceeded.name == "key"
    assert [state.remaining for state in error.limits] == [1, 0]
    assert [state.remaining for state in reserve(limiter, replace(CALLER, key_id="key-2")).limits] == [0, 0]
    # Now the tenant's limit is used up as well, and it takes longer.
    error = denied(world.limiter(wide, narrow))
    assert error.exceeded.name == "tenant"


def test_limits_count_whom_they_are_for(world: World) -> None:
    limits = [
        RateLimit(name=per, amount=amount, window_seconds=60, per=per)
        for per, amount in (("key", 10), ("user", 9), ("tenant", 8), ("global", 7))
    ]
    limiter = world.limiter(*limits)
    ann = replace(CALLER, user="ann")

    def remaining(caller: Caller) -> dict[str, int]:
        return {state.name: state.remaining for state in reserve(limiter, caller).limits}

    assert remaining(ann) == {"key": 9, "user": 8, "tenant": 7, "global": 6}
    assert remaining(replace(ann, key_id="key-2")) == {"key": 9, "user": 7, "tenant": 6, "global": 5}
    assert remaining(replace(ann, tenant="other", key_id="key-3")) == {"key": 9, "user": 8, "tenant": 7, "global": 4}
    assert remaining(CALLER) == {"key": 8, "tenant": 5, "global": 3}, "a limit per user needs a user"


def test_every_admission_and_every_committed_denial_has_the_next_number(world: World) -> None:
    numbers: dict[str, list[int]] = {}
    for step in range(200):
        limiter = world.limiter(MINUTE)
        try:
            reservation = reserve(limiter)
            numbers.setdefault(reservation.epoch, []).append(reservation.seq)
        except LimitExceeded as error:
            numbers.setdefault(error.epoch or "", []).append(error.seq or 0)
        world.clock.advance(7 if step % 3 else 31)
    assert len(numbers) > 3
    for taken in numbers.values():
        assert taken == list(range(1, len(taken) + 1))


def test_another_number_of_buckets_counts_and_numbers_apart(world: World) -> None:
    slow = Limiter(world.store, [MINUTE], AdmissionPolicy(deadline_ms=10_000), world.clock)
    first, second = reserve(slow), reserve(world.limiter(MINUTE))
    assert (first.seq, second.seq) == (1, 1)
    assert first.epoch != second.epoch


def test_admissions_are_numbered_even_where_no_limit_is_per_key(world: World) -> None:
    assert [reserve(world.limiter()).seq for _ in range(3)] == [1, 2, 3]
    everyone = RateLimit(name="all", amount=5, window_seconds=60, per="global")
    assert reserve(world.limiter(everyone)).seq == 4
    assert reserve(world.limiter(everyone), replace(CALLER, key_id="key-2")).seq == 1


def test_documents_stay_small_and_say_when_they_expire(world: World) -> None:
    limits = [
        MINUTE,
        RateLimit(name="burst", amount=50, window_seconds=1),
        RateLimit(name="day", amount=9000, window_seconds=86_400),
    ]
    limiter = world.limiter(*limits)
    for step in range(2000):
        reserve_one(limiter)
        world.clock.advance((0.3, 2, 7, 61, 130)[step % 5])
    assert max(map(len, world.counts())) <= 8 * 12 + 14
    for fields, _ in world.store.documents.values():
        expires = fields["expires_at"].timestamp()
        assert expires - world.clock.now / SECOND < 12 * 86_400


def reserve_one(limiter: Limiter) -> Reservation | None:
    try:
        return reserve(limiter)
    except LimitExceeded:
        return None


def test_a_limit_holds_across_the_change_of_an_epoch(world: World) -> None:
    admitted: list[int] = []
    epochs = set()
    for _ in range(400):
        if reservation := reserve_one(world.limiter(MINUTE)):
            admitted.append(world.clock.now)
            epochs.add(reservation.epoch)
        world.clock.advance(3.1)
    assert len(epochs) >= 3
    assert all(fourth - first >= 60 * SECOND for first, fourth in zip(admitted, admitted[3:], strict=False))
    assert len(admitted) >= 3 * (400 * 3.1 // 66)


def test_what_was_let_in_before_the_stores_clock_stepped_back_counts(world: World) -> None:
    world.clock.advance(5)
    for _ in range(3):
        reserve(world.limiter(MINUTE))
    world.clock.advance(-0.2)
    world.store.step_back()
    denied(world.limiter(MINUTE))


@pytest.mark.parametrize("ahead", [-30, 30])
def test_a_wrong_clock_is_corrected_by_the_first_commit(world: World, ahead: int) -> None:
    world.clock.advance(100)
    limiter = Limiter(world.store, [MINUTE], AdmissionPolicy(), SkewedClock(world.clock, ahead * SECOND))
    assert [reserve(limiter).seq for _ in range(3)] == [1, 2, 3]
    assert len(world.store.commits) == 1 + 3, "the first one was charged where the wrong clock said"


def test_buckets_are_kept_as_long_as_they_count(world: World) -> None:
    world.clock.advance(5)
    limiter = world.limiter(MINUTE)
    for _ in range(3):
        reserve(limiter)
    for _ in range(58):
        world.clock.advance(1.1)
        denied(limiter)
    world.clock.advance(2)
    reserve(limiter)


def test_a_late_commit_is_charged_to_the_bucket_it_came_in(world: World) -> None:
    limiter = world.limiter(MINUTE)
    slow = iter([6, 0])
    world.store.before = lambda: world.clock.advance(next(slow))
    reservation = reserve(limiter)
    assert len(world.store.commits) == 2
    assert reservation.seq == 1, "a number once taken is kept"
    assert sorted(n for counts in world.counts() for n in counts.values() if n) == [1]
    world.store.before = lambda: None
    assert reserve(limiter).seq == 2


def test_commits_that_are_always_late_count_as_a_failure_and_leave_nothing(world: World) -> None:
    limiter = world.limiter(MINUTE)
    world.store.before = lambda: world.clock.advance(6)
    with pytest.raises(ServiceUnavailable):
        reserve(limiter)
    assert not any(n for counts in world.counts() for n in counts.values())


def test_settling_refunds_a_request_that_was_not_made(world: World) -> None:
    limiter = world.limiter(MINUTE)
    reservation = reserve(limiter)
    commits = len(world.store.commits)
    limiter.settle(reservation, Usage(prompt_tokens=5, completion_tokens=7))
    assert len(world.store.commits) == commits, "what was estimated right costs no commit"
    refunded = reserve(limiter)
    limiter.settle(refunded, Usage(requests=0))
    limiter.settle(refunded, Usage(requests=0))
    assert [reserve(limiter).limits[0].remaining for _ in range(2)] == [1, 0]
    denied(limiter)


def test_a_refund_after_the_window_changes_nothing(world: World) -> None:
    limiter = world.limiter(MINUTE)
    reservation = reserve(limiter)
    world.clock.advance(70)
    before = world.counts()
    limiter.settle(reservation, Usage(requests=0))
    assert world.counts() == before


def test_while_the_store_is_down_the_policy_decides(world: World) -> None:
    world.store.down = True
    with pytest.raises(ServiceUnavailable) as caught:
        reserve(world.limiter(MINUTE))
    assert caught.value.code == "admission_unavailable"
    assert caught.value.status == 503
    open_limiter = world.limiter(MINUTE, fail="open")
    reservation = reserve(open_limiter)
    assert (reservation.mode, reservation.limits) == ("failed_open", ())
    open_limiter.settle(reservation, Usage())


def test_settling_never_raises(world: World) -> None:
    limiter = world.limiter(MINUTE)
    reservation = reserve(limiter)
    world.store.down = True
    limiter.settle(reservation, Usage(requests=0))


def test_a_denial_whose_undo_fails_is_still_a_denial(world: World) -> None:
    limiter = world.limiter(replace_limit(MINUTE, amount=1))
    reserve(limiter)
    world.store.after = lambda: setattr(world.store, "down", True)
    denied(limiter)
    world.store.down, world.store.after = False, lambda: None
    world.clock.advance(66)
    reserve(limiter)


def test_a_denials_answer_carries_the_headers(world: World) -> None:
    limiter = world.limiter(replace_limit(MINUTE, amount=1))
    reserve(limiter)
    error = denied(limiter)
    headers = error.headers
    assert 55 < int(headers["retry-after"]) <= 65
    assert headers["ratelimit-policy"] == '"requests-per-minute";q=1;w=60'
    # "The Retry-After field value SHOULD NOT reference a point in time earlier than the end of the effective window."
    assert headers["ratelimit"] == f'"requests-per-minute";r=0;t={headers["retry-after"]}'
    assert "'requests-per-minute' is used up: 1 requests in 60 s" in error_body(error)["error"]["message"]
    assert headers["x-ratelimit-remaining-requests"] == "0"


def test_limits_of_the_same_name_in_spirit_do_not_meet(world: World) -> None:
    """Names may hold dots and dashes, which a field path may not; each keeps its own count."""
    limits = [RateLimit(name=name, amount=2, window_seconds=60) for name in ("a.b", "a-b", "a_b")]
    assert [state.remaining for state in reserve(world.limiter(*limits)).limits] == [1, 1, 1]


def test_threads_share_a_limiter(world: World) -> None:
    lock = threading.Lock()
    world.store.before, world.store.after = lock.acquire, lock.release
    limiter = world.limiter(replace_limit(MINUTE, amount=20))
    admitted: list[int] = []

    def work() -> None:
        for _ in range(10):
            if reservation := reserve_one(limiter):
                admitted.append(reservation.seq)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 20
