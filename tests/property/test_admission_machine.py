"""Any schedule of requests, late commits, lost answers, crashes and wrong clocks keeps every kind of limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import LargerThanLimit, LimitExceeded, Reservation, Usage
from shared.admission.windows import day_of
from shared.errors import ServiceUnavailable, StoreContended, StoreUnavailable
from shared.identity.caller import DEFAULT_SCOPES, Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from tests.support.virtual_time import SECOND, ManualClock, SkewedClock, VirtualDocuments

LEASE_SECONDS = 20
DEADLINE_MS = 300
ZONE = "Europe/Berlin"
LIMITS = (
    RateLimit(name="requests", amount=4, window_seconds=7),
    RateLimit(name="tokens", kind="tokens", amount=100, window_seconds=30),
    RateLimit(name="at-once", kind="concurrency", amount=3),
    RateLimit(name="money", kind="cost", amount=200, window_seconds=60),
    RateLimit(name="day", kind="tokens", amount=300, window="day", time_zone=ZONE, per="user"),
    RateLimit(name="tenant-requests", amount=6, window_seconds=7, per="tenant"),
    RateLimit(name="tenant-tokens", kind="tokens", amount=150, window_seconds=30, per="tenant"),
    RateLimit(name="all", amount=9, window_seconds=7, per="global"),
)
CALLERS = (
    Caller("acme", "key-1", "api_key", frozenset(DEFAULT_SCOPES), user="ann"),
    Caller("acme", "key-2", "api_key", frozenset(DEFAULT_SCOPES), user="ann"),
    Caller("other", "key-3", "api_key", frozenset(DEFAULT_SCOPES)),
)


@dataclass(eq=False)
class Admitted:
    """A request that was let in, as an onlooker who knows the true time sees it."""

    caller: Caller
    client: int
    at: int
    reservation: Reservation
    usage: Usage
    settled_at: int | None = None
    crashed: bool = False

    def alive(self, now: int) -> bool:
        return self.settled_at is None and not self.crashed and now - self.at < LEASE_SECONDS * SECOND


class AdmissionMachine(RuleBasedStateMachine):
    """Three processes on one store. A commit that takes longer than the deadline is done, but nobody is told."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(1_800_000_000 * SECOND)
        self.store = VirtualDocuments(self.clock)
        self.policy = AdmissionPolicy(deadline_ms=DEADLINE_MS)
        self.admitted: list[Admitted] = []
        self.numbers: set[tuple[str, str, int]] = set()
        self.faults: list[str] = []
        self.delays: list[float] = []

    @initialize(
        skews=st.lists(st.floats(-100, 100), min_size=3, max_size=3),
        limits=st.lists(st.sampled_from(LIMITS), min_size=1, max_size=2, unique_by=lambda limit: limit.name),
    )
    def start(self, skews: list[float], limits: list[RateLimit]) -> None:
        self.limits = limits  # few, so that one does not hide that another fails
        self.skews = [round(skew * SECOND) for skew in skews]
        self.clients = [self.process(index) for index in range(3)]
        self.store.before, self.store.after = self.on_the_way, self.on_the_way_back

    def process(self, index: int) -> Limiter:
        clock = SkewedClock(self.clock, self.skews[index])
        return Limiter(self.store, self.limits, self.policy, clock, lease_seconds=LEASE_SECONDS)

    def on_the_way(self) -> None:
        self.delay = self.delays.pop() if self.delays else 0.001
        fault = self.faults.pop() if self.faults else ""
        if fault == "contended":
            raise StoreContended("Somebody else writes.")
        if fault == "unreachable":
            raise StoreUnavailable("No connection.")
        self.lost = fault == "lost"
        self.clock.advance(self.delay)

    def on_the_way_back(self) -> None:
        if self.lost or self.delay * 1000 > DEADLINE_MS:
            raise StoreUnavailable("Nobody knows.")

    @rule(
        client=st.integers(0, 2),
        caller=st.sampled_from(CALLERS),
        prompt=st.integers(0, 60),
        answer=st.integers(0, 60),
        faults=st.lists(st.sampled_from(["", "", "", "contended", "unreachable", "lost"]), max_size=2),
        delays=st.lists(st.floats(0, 0.5), max_size=3),
        times=st.integers(1, 8),
    )
    def ask(
        self, client: int, caller: Caller, prompt: int, answer: int, faults: list[str], delays: list[float], times: int
    ) -> None:
        self.faults, self.delays = faults, delays
        for _ in range(times):
            self.ask_once(client, caller, Usage(1, prompt, answer, cost=prompt + 2 * answer))
        self.faults, self.delays = [], []

    def ask_once(self, client: int, caller: Caller, usage: Usage) -> None:
        try:
            reservation = self.clients[client].reserve(caller, "default", usage)
        except LimitExceeded as denied:
            if denied.seq is not None:
                self.number(caller, denied.epoch, denied.seq)
            return
        except (ServiceUnavailable, LargerThanLimit):
            return
        self.number(caller, reservation.epoch, reservation.seq)
        self.admitted.append(Admitted(caller, client, reservation.committed, reservation, usage))
        self.check(reservation.committed)

    def number(self, caller: Caller, epoch: str | None, seq: int) -> None:
        place = (caller.key_id, epoch or "", seq)
        assert place not in self.numbers, "no number is given twice"
        self.numbers.add(place)

    @rule(
        data=st.data(),
        share=st.floats(0, 1),
        refused=st.booleans(),
        fault=st.sampled_from(["", "", "contended", "unreachable", "lost"]),
        delay=st.floats(0, 0.3),
    )
    def end(self, data: Any, share: float, refused: bool, fault: str, delay: float) -> None:
        running = [each for each in self.admitted if each.settled_at is None and not each.crashed]
        if not running:
            return
        each = data.draw(st.sampled_from(running))
        prompt, answer = int(each.usage.prompt_tokens * share), int(each.usage.completion_tokens * share)
        actual = Usage(int(not refused), prompt, answer, cost=prompt + 2 * answer)
        self.faults, self.delays = [fault], [delay]
        each.settled_at, each.usage = self.clock.now, actual
        self.clients[each.client].settle(each.reservation, actual)
        self.faults, self.delays = [], []

    @rule(client=st.integers(0, 2))
    def crash(self, client: int) -> None:
        self.clients[client] = self.process(client)
        for each in self.admitted:
            if each.client == client and each.settled_at is None:
                each.crashed = True

    @rule(
        seconds=st.one_of(
            st.floats(0, 2),
            st.floats(5.5, 8),
            st.floats(18, 26),
            st.floats(28, 34),
            st.floats(54, 66),
            st.floats(0, 90_000),
        )
    )
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def nothing_is_negative(self) -> None:
        for fields, _ in self.store.documents.values():
            assert all(count >= 0 for count in counts_in(fields).values())

    def check(self, now: int) -> None:
        """Every limit holds at the time of an admission; nothing is added to a limit at other times."""
        day = day_of(ZONE)
        for limit in self.limits:
            sums: dict[str, int] = {}
            for each in self.admitted:
                if (who := _subject(limit, each.caller)) is not None:
                    sums[who] = sums.get(who, 0) + _counted(limit, each, now, day)
            assert all(total <= limit.amount for total in sums.values()), (limit.name, sums)


def _subject(limit: RateLimit, caller: Caller) -> str | None:
    return {"key": caller.key_id, "user": caller.user, "tenant": caller.tenant, "global": ""}[limit.per]


def _counted(limit: RateLimit, each: Admitted, now: int, day: Any) -> int:
    """What a limit must hold of a request at ``now``."""
    tokens = each.usage.prompt_tokens + each.usage.completion_tokens
    held_or_spent = each.settled_at is not None or each.alive(now)
    if limit.kind == "concurrency":
        return int(each.alive(now))
    if limit.kind == "cost":
        since = each.settled_at if each.settled_at is not None else now
        return each.usage.cost if held_or_spent and now - since < 60 * SECOND else 0
    if limit.window == "day":
        return tokens if held_or_spent and day.bucket(each.at) == day.bucket(now) else 0
    if now - each.at >= limit.window_seconds * SECOND:
        return 0
    return each.usage.requests if limit.kind == "requests" else tokens


TestAdmission = AdmissionMachine.TestCase
TestAdmission.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
