"""Every kind of limit in virtual time: what is charged, what is given back, and what a killed process leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import AdmissionUnavailable, LargerThanLimit, LimitExceeded, Usage
from shared.errors import StoreContended, StoreUnavailable
from shared.identity.caller import DEFAULT_SCOPES, Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from tests.support.virtual_time import SECOND, ManualClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset(DEFAULT_SCOPES), user="ann")
TOKENS = RateLimit(name="tokens", kind="tokens", amount=100, window_seconds=60)
AT_ONCE = RateLimit(name="at-once", kind="concurrency", amount=2)
MONEY = RateLimit(name="money", kind="cost", amount=1000, window_seconds=3600)
DAY = RateLimit(name="day", kind="tokens", amount=100, window="day", time_zone="Europe/Berlin")
TENANT = RateLimit(name="tenant", amount=1000, window_seconds=60, per="tenant")


class World:
    """A store, a clock and limiters on them, as processes would have them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = VirtualDocuments(self.clock)

    def limiter(self, *limits: RateLimit, lease_seconds: int = 40, **policy: Any) -> Limiter:
        return Limiter(self.store, limits, AdmissionPolicy(**policy), self.clock, lease_seconds=lease_seconds)

    def charged(self) -> int:
        return sum(sum(counts_in(fields).values()) for fields, _ in self.store.documents.values())


@pytest.fixture
def world() -> World:
    return World()


def of(tokens: int, cost: int = 0) -> Usage:
    return Usage(1, tokens - tokens // 2, tokens // 2, cost)


def admits(limiter: Limiter, usage: Usage, caller: Caller = CALLER) -> bool:
    try:
        limiter.reserve(caller, "default", usage)
    except LimitExceeded:
        return False
    return True


def test_tokens_are_reserved_and_then_corrected_to_what_was_used(world: World) -> None:
    limiter = world.limiter(TOKENS)
    first = limiter.reserve(CALLER, "default", of(90))
    assert first.limits[0].remaining == 10
    assert not admits(world.limiter(TOKENS), of(11))
    limiter.settle(first, of(30))
    assert world.charged() == 30
    assert limiter.reserve(CALLER, "default", of(70)).limits[0].remaining == 0


def test_a_correction_lies_where_the_charge_lay(world: World) -> None:
    limiter = world.limiter(TOKENS)
    first = limiter.reserve(CALLER, "default", of(90))
    world.clock.advance(20)
    limiter.settle(first, of(30))
    assert [n for fields, _ in world.store.documents.values() for n in counts_in(fields).values() if n] == [30]


def test_more_than_was_reserved_is_charged_all_the_same(world: World) -> None:
    limiter = world.limiter(TOKENS)
    limiter.settle(limiter.reserve(CALLER, "default", of(50)), of(120))
    assert world.charged() == 120
    assert not admits(limiter, of(1))


def test_a_denial_is_repeated_only_for_requests_as_large(world: World) -> None:
    limiter = world.limiter(TOKENS)
    limiter.reserve(CALLER, "default", of(60))
    assert not admits(limiter, of(50))
    commits = len(world.store.commits)
    assert not admits(limiter, of(45))
    assert len(world.store.commits) == commits
    assert admits(limiter, of(40))


def test_a_request_larger_than_a_limit_is_refused_for_good_without_a_commit(world: World) -> None:
    limiter = world.limiter(TOKENS)
    with pytest.raises(LargerThanLimit, match="'tokens' grants 100 tokens at most") as caught:
        limiter.reserve(CALLER, "default", of(101))
    assert caught.value.headers["x-should-retry"] == "false"
    assert not world.store.commits


def test_calls_at_once_are_counted_until_they_end(world: World) -> None:
    limiter = world.limiter(AT_ONCE)
    first = limiter.reserve(CALLER, "default", of(0))
    limiter.reserve(CALLER, "default", of(0))
    with pytest.raises(LimitExceeded) as caught:
        limiter.reserve(CALLER, "default", of(0))
    assert caught.value.retry_after <= 1, "a call may end at any time"
    assert "2 calls at once" in caught.value.message
    limiter.settle(first, of(0))
    assert world.charged() == 1
    world.clock.advance(1)
    assert admits(limiter, of(0))


def test_what_a_killed_process_held_is_free_after_the_lease_and_a_slot(world: World) -> None:
    killed = world.limiter(AT_ONCE, MONEY, DAY)
    for _ in range(2):
        killed.reserve(CALLER, "default", of(50, cost=500))
    world.clock.advance(39)
    assert not admits(world.limiter(AT_ONCE), of(0))
    assert not admits(world.limiter(MONEY), of(0, cost=1))
    assert not admits(world.limiter(DAY), of(1))
    world.clock.advance(12)
    assert admits(world.limiter(AT_ONCE, MONEY, DAY), of(100, cost=1000))


def test_money_is_held_while_a_call_runs_and_charged_when_it_ends(world: World) -> None:
    limiter = world.limiter(MONEY)
    running = limiter.reserve(CALLER, "default", of(0, cost=900))
    assert not admits(world.limiter(MONEY), of(0, cost=101))
    limiter.settle(running, of(0, cost=300))
    assert world.charged() == 300
    world.clock.advance(3500)
    assert not admits(world.limiter(MONEY), of(0, cost=701))
    world.clock.advance(500)
    assert admits(world.limiter(MONEY), of(0, cost=1000))


def test_what_a_call_has_cost_counts_for_a_window_from_its_end(world: World) -> None:
    bucket = 3600 // 12 * SECOND
    world.clock.now = (world.clock.now // bucket + 1) * bucket - 10 * SECOND
    limiter = world.limiter(MONEY)
    running = limiter.reserve(CALLER, "default", of(0, cost=900))
    world.clock.advance(30)
    limiter.settle(running, of(0, cost=300))
    world.clock.advance(3599)
    assert not admits(world.limiter(MONEY), of(0, cost=701))
    world.clock.advance(301)
    assert admits(world.limiter(MONEY), of(0, cost=701))


def test_a_days_budget_begins_at_midnight_of_its_zone(world: World) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # The clocks go back in this night, so the day has 25 hours.
    world.clock.now = int(datetime(2027, 10, 31, 0, 30, tzinfo=berlin).timestamp()) * SECOND
    limiter = world.limiter(DAY)
    limiter.settle(limiter.reserve(CALLER, "default", of(80)), of(80))
    with pytest.raises(LimitExceeded) as caught:
        limiter.reserve(CALLER, "default", of(30))
    assert caught.value.retry_after == pytest.approx(24.5 * 3600)
    assert caught.value.headers["x-should-retry"] == "false"
    world.clock.advance(24.5 * 3600 - 1)
    assert not admits(limiter, of(30))
    world.clock.advance(1)
    assert admits(limiter, of(30))


def test_a_call_over_midnight_is_charged_to_the_day_it_began(world: World) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    world.clock.now = int(datetime(2027, 1, 31, 23, 59, 50, tzinfo=berlin).timestamp()) * SECOND
    limiter = world.limiter(DAY)
    running = limiter.reserve(CALLER, "default", of(90))
    world.clock.advance(20)
    limiter.settle(running, of(90))
    assert admits(world.limiter(DAY), of(100)), "the new day is whole"
    assert not admits(world.limiter(DAY), of(1))


def test_who_is_denied_uses_up_nothing_of_what_all_share(world: World) -> None:
    once = RateLimit(name="once", amount=1, window_seconds=3600)
    limiter = world.limiter(once, RateLimit(name="tenant", amount=120, window_seconds=3600, per="tenant"))
    others = [replace(CALLER, key_id=f"other-{number}") for number in range(120)]
    assert all(admits(limiter, of(0), caller) for caller in (CALLER, *others[:20])), "and a chunk is at hand"
    for _ in range(40):
        world.clock.advance(1.5)  # a denial is remembered for a second, and then asks the store again
        assert not admits(limiter, of(0))
    assert [admits(limiter, of(0), caller) for caller in others[20:]] == [True] * 99 + [False]


def test_limits_may_be_for_one_tenant_key_or_model(world: World) -> None:
    limiter = world.limiter(
        RateLimit(name="t", amount=9, window_seconds=60, tenant="acme"),
        RateLimit(name="k", amount=9, window_seconds=60, key="key-2"),
        RateLimit(name="m", amount=9, window_seconds=60, model="dear"),
    )

    def charged(caller: Caller, model: str) -> list[str]:
        return [state.name for state in limiter.reserve(caller, model, Usage()).limits]

    assert charged(CALLER, "default") == ["t"]
    assert charged(replace(CALLER, tenant="other", key_id="key-2"), "dear") == ["k", "m"]


def test_a_monitored_limit_denies_nobody_and_tells(world: World) -> None:
    limiter = world.limiter(RateLimit(name="trial", amount=1, window_seconds=60, mode="monitor"))
    assert limiter.reserve(CALLER, "default", Usage()).over == ()
    second = limiter.reserve(CALLER, "default", Usage())
    assert second.over == ("trial",)
    assert second.limits == (), "callers are not told of it"


def test_a_tenants_limit_is_taken_in_chunks(world: World) -> None:
    limiter = world.limiter(TENANT)
    document_writes = []
    for _ in range(200):
        limiter.reserve(CALLER, "default", Usage())
        document_writes.append(world.store.written)
    assert sum(written == 2 for written in document_writes) < 20, "the tenant's document is written seldom"
    state = limiter.reserve(CALLER, "default", Usage()).limits[0]
    assert 700 <= state.remaining <= 799


def test_a_chunk_that_is_left_is_given_back_when_its_bucket_is_over(world: World) -> None:
    limiter = world.limiter(TENANT)
    for _ in range(100):
        limiter.reserve(CALLER, "default", Usage())
    assert world.charged() > 100
    world.clock.advance(6)
    limiter.reserve(CALLER, "default", Usage())
    assert world.store.written > 1, "another bucket needs a chunk of its own"
    assert world.charged() <= 101 + 100
    assert sum(admits(world.limiter(TENANT), Usage()) for _ in range(20)) == 20


def test_what_is_left_of_a_chunk_is_given_back_once(world: World) -> None:
    limiter = world.limiter(TENANT)
    for _ in range(100):
        limiter.reserve(CALLER, "default", Usage())
    for _ in range(4):  # the first of which takes another chunk, since so many came before
        world.clock.advance(6)
        limiter.reserve(CALLER, "default", Usage())
    assert world.charged() == 104


def test_processes_with_chunks_never_let_more_through_together_and_leave_little(world: World) -> None:
    limit = RateLimit(name="tenant", amount=100, window_seconds=60, per="tenant")
    processes = [world.limiter(limit) for _ in range(4)]
    admitted = 0
    for _ in range(60):
        for limiter in processes:
            admitted += admits(limiter, Usage())
            world.clock.advance(0.01)
    assert 90 <= admitted <= 100


@pytest.mark.parametrize(("fault", "unknown"), [(StoreUnavailable, True), (StoreContended, False)])
def test_a_failing_store_is_met_as_the_policy_says(world: World, fault: type[Exception], unknown: bool) -> None:
    def fail() -> None:
        raise fault("No.")

    world.store.before = fail
    with pytest.raises(AdmissionUnavailable) as caught:
        world.limiter(TOKENS).reserve(CALLER, "default", of(30))
    assert (caught.value.unknown is not None) is unknown
    if caught.value.unknown:
        assert caught.value.unknown.costs == (("tokens", 30),)
    reservation = world.limiter(TOKENS, fail="open").reserve(CALLER, "default", of(30))
    assert (reservation.mode, reservation.unknown is not None) == ("failed_open", unknown)
    limiter = world.limiter(TOKENS, fail="local", local_share=0.5)
    local = limiter.reserve(CALLER, "default", of(30))
    assert (local.mode, local.seq, local.limits[0].amount) == ("local", 0, 50)
    with pytest.raises(LimitExceeded) as denied:
        limiter.reserve(CALLER, "default", of(30))
    assert (denied.value.seq, denied.value.mode) == (None, "local")
    limiter.settle(local, of(10))
    world.clock.advance(1.1)
    assert limiter.reserve(CALLER, "default", of(40)).mode == "local"
    with pytest.raises(AdmissionUnavailable):
        limiter.reserve(CALLER, "default", of(60))


def test_only_contention_is_tried_again(world: World) -> None:
    faults = [StoreContended("Busy."), StoreContended("Busy.")]

    def fail() -> None:
        if faults:
            raise faults.pop()

    world.store.before = fail
    assert world.limiter(TOKENS).reserve(CALLER, "default", of(30)).seq == 1
    faults.append(StoreUnavailable("Gone."))
    with pytest.raises(AdmissionUnavailable):
        world.limiter(TOKENS).reserve(CALLER, "default", of(30))
    assert world.charged() == 30


def test_contention_after_a_commit_that_came_late_is_told_as_unknown(world: World) -> None:
    """The late one has taken a number and charged, so the event must say why both are found."""

    def late_and_then_contended() -> None:
        if world.store.commits:
            raise StoreContended("Busy.")
        world.clock.advance(6)

    world.store.before = late_and_then_contended
    with pytest.raises(AdmissionUnavailable) as caught:
        world.limiter(TOKENS).reserve(CALLER, "default", of(30))
    assert caught.value.unknown is not None
    assert caught.value.unknown.costs == (("tokens", 30),)


def test_local_limits_forget_what_has_expired(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.admission.memory._SWEEP_AT", 5)
    world.store.down = True
    limiter = world.limiter(TOKENS, fail="local")
    for number in range(100):
        limiter.reserve(replace(CALLER, key_id=f"key-{number}"), "default", of(1))
        world.clock.advance(600)
    assert limiter._local is not None
    assert len(limiter._local._charging._documents._documents) < 50
