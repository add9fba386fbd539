"""What has ended is corrected once, whatever becomes of the commit that its correction shares with a request."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import AdmissionUnavailable, LimitExceeded, Reservation, Usage
from shared.errors import StoreContended, StoreUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from tests.support.stores import wait_until
from tests.support.virtual_time import ManualClock, VirtualDocuments

CALLER = Caller("acme", "key-1", "api_key", frozenset())
TOKENS = RateLimit(name="tokens", kind="tokens", amount=100, window_seconds=60)
AT_ONCE = RateLimit(name="at-once", kind="concurrency", amount=5)
MONEY = RateLimit(name="money", kind="cost", amount=100, window_seconds=60)
LEASE_SECONDS = 20
LATE_SECONDS = 6
"""More than a bucket of a window or a slot of a lease lasts; three times that is less than either counts."""

RESERVED, USED, FIRST, ASKED = 30, 7, 1, 10
Outcome = Reservation | LimitExceeded | AdmissionUnavailable | ValueError


class World:
    """A call that ends while another request's commit is on its way, so that a third one shares its correction's."""

    def __init__(self, limit: RateLimit) -> None:
        self.clock = ManualClock()
        self.store = VirtualDocuments(self.clock)
        self.limiter, self.other = (
            Limiter(self.store, [limit], AdmissionPolicy(), self.clock, lease_seconds=LEASE_SECONDS) for _ in range(2)
        )
        self.way: list[Callable[[], None]] = []
        self.ended = self.limiter.reserve(CALLER, "default", of(RESERVED))
        self.store.before = lambda: self.way.pop(0)()

    def share_a_commit(self, *way: Callable[[], None], asked: int = ASKED) -> Outcome:
        """What the third one is answered where each commit from its own on meets a step of ``way``."""
        outcomes: list[Outcome] = []
        waiting = self.limiter._groups._waiting
        threads = [
            threading.Thread(target=lambda: self.limiter.settle(self.ended, of(USED))),
            threading.Thread(target=lambda: outcomes.append(ask(self.limiter, asked))),
        ]

        def queue() -> None:
            for number, thread in enumerate(threads, 1):
                thread.start()
                wait_until(lambda number=number: sum(map(len, waiting.values())) == number)

        self.way = [queue, *way]
        self.limiter.reserve(CALLER, "default", of(FIRST))
        for thread in threads:
            thread.join()
        assert not self.way, "there were as many commits as foreseen"
        (outcome,) = outcomes
        return outcome

    def late(self) -> None:
        self.clock.advance(LATE_SECONDS)

    def lost(self) -> None:
        """The store makes the commit, and its answer gets lost."""

        def after() -> None:
            self.store.after = lambda: None
            raise StoreUnavailable("Nobody knows.")

        self.store.after = after

    def meanwhile(self, others: Callable[[], object]) -> Callable[[], None]:
        """What others do just before a commit."""

        def step() -> None:
            self.store.before, before = lambda: None, self.store.before
            others()
            self.store.before = before

        return step

    def charged(self) -> int:
        counts = [count for fields, _ in self.store.documents.values() for count in counts_in(fields).values()]
        assert min(counts) >= 0
        return sum(counts)


def of(amount: int) -> Usage:
    return Usage(1, amount, 0, cost=amount)


def ask(limiter: Limiter, amount: int) -> Outcome:
    try:
        return limiter.reserve(CALLER, "default", of(amount))
    except (LimitExceeded, AdmissionUnavailable, ValueError) as refusal:
        return refusal


def in_time() -> None:
    """Nothing happens on the way."""


def contended() -> None:
    raise StoreContended("Somebody else writes.")


def unreachable() -> None:
    raise StoreUnavailable("No connection.")


def refused() -> None:
    raise ValueError("Too much for this store.")


@pytest.fixture
def world() -> World:
    return World(TOKENS)


@pytest.mark.parametrize(
    ("limit", "charged"),
    [(TOKENS, USED + FIRST + ASKED), (MONEY, USED + FIRST + ASKED), (AT_ONCE, 2)],
    ids=["tokens", "money", "calls"],
)
@pytest.mark.parametrize("late", range(3))
@pytest.mark.parametrize("aborted", range(3))
def test_a_commit_corrects_once_however_often_it_is_tried(
    limit: RateLimit, charged: int, late: int, aborted: int
) -> None:
    """One that comes late has corrected, only the request is charged again; one that is aborted has done nothing."""
    world = World(limit)
    outcome = world.share_a_commit(*[contended] * aborted, *[world.late] * late, in_time)
    assert isinstance(outcome, Reservation)
    assert len(world.store.commits) == 3 + late, "the correction needed no commit of its own"
    assert world.charged() == charged


@pytest.mark.parametrize("limit", [TOKENS, MONEY], ids=["tokens", "money"])
def test_a_request_that_is_judged_again_does_not_correct_again(limit: RateLimit) -> None:
    """What stood in its way has been given back between its charge and the undoing of that."""
    world = World(limit)
    held = world.other
    reservation = []
    outcome = world.share_a_commit(
        world.meanwhile(lambda: reservation.append(held.reserve(CALLER, "default", of(60)))),
        world.meanwhile(lambda: held.settle(reservation[0], Usage(0))),
        in_time,
        asked=50,
    )
    assert isinstance(outcome, Reservation)
    assert world.charged() == USED + FIRST + 50


def test_commits_that_are_always_late_have_corrected(world: World) -> None:
    undo = in_time
    assert isinstance(world.share_a_commit(world.late, world.late, world.late, undo), AdmissionUnavailable)
    assert world.charged() == USED + FIRST


def test_a_commit_whose_answer_is_lost_is_not_made_again(world: World) -> None:
    assert isinstance(world.share_a_commit(world.lost), AdmissionUnavailable)
    assert world.charged() == USED + FIRST + ASKED


@pytest.mark.parametrize(
    ("faults", "unknown"), [([unreachable], "true"), ([contended] * 10, "false")], ids=["unreachable", "contended"]
)
def test_a_correction_that_is_not_made_is_told_of(
    world: World, capsys: pytest.CaptureFixture[str], faults: list[Callable[[], None]], unknown: str
) -> None:
    assert isinstance(world.share_a_commit(*faults), AdmissionUnavailable)
    assert world.charged() == RESERVED + FIRST
    assert f'"event":"admission.change_failed","unknown":{unknown}' in capsys.readouterr().err


def test_a_correction_is_made_without_the_request_that_lost_to_others(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    correction = in_time
    assert isinstance(world.share_a_commit(*[contended] * 5, correction), AdmissionUnavailable)
    assert world.charged() == USED + FIRST
    assert "change_failed" not in capsys.readouterr().err


def test_a_failure_after_a_late_commit_leaves_its_corrections_as_they_are(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(world.share_a_commit(world.late, unreachable), AdmissionUnavailable)
    assert world.charged() == USED + FIRST + ASKED
    assert "change_failed" not in capsys.readouterr().err


def test_contention_after_a_late_commit_leaves_its_corrections_alone(world: World) -> None:
    undo = in_time
    assert isinstance(world.share_a_commit(world.late, *[contended] * 5, undo), AdmissionUnavailable)
    assert world.charged() == USED + FIRST


def test_a_commit_that_the_store_refuses_is_made_apart(world: World) -> None:
    correction = request = in_time
    assert isinstance(world.share_a_commit(refused, correction, request), Reservation)
    assert world.charged() == USED + FIRST + ASKED


def test_a_request_that_the_store_refuses_takes_no_correction_with_it(world: World) -> None:
    correction = in_time
    assert isinstance(world.share_a_commit(refused, correction, refused), ValueError)
    assert world.charged() == USED + FIRST


def test_a_commit_that_is_refused_after_a_late_one_leaves_its_corrections_alone(world: World) -> None:
    undo = in_time
    assert isinstance(world.share_a_commit(world.late, refused, undo), ValueError)
    assert world.charged() == USED + FIRST
