"""Any schedule of requests, late commits, lost answers, crashes and wrong clocks keeps every kind of limit.

It is let in what fits, too: a denial, a failure and a number that nobody has must each have a reason.
`make mutate-admission` plants faults in the code to see whether this finds them.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.admission.cells import counts_in
from shared.admission.limiter import Limiter
from shared.admission.port import AdmissionUnavailable, LargerThanLimit, LimitExceeded, Reservation, Usage
from shared.admission.windows import Day
from shared.errors import StoreContended, StoreUnavailable
from shared.identity.caller import DEFAULT_SCOPES, Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from tests.support.admission_ledger import Admitted, Ledger, Lost, subject
from tests.support.virtual_time import SECOND, ManualClock, SkewedClock, VirtualDocuments

LEASE_SECONDS = 20
DEADLINE_MS = 300
ATTEMPTS = 3
"""Commits that a request may be charged by."""

STEP_BACK = 0.5
"""Seconds, less than the shortest bucket."""

LIMITS = (
    RateLimit(name="requests", amount=4, window_seconds=7),
    RateLimit(name="tokens", kind="tokens", amount=100, window_seconds=30),
    RateLimit(name="at-once", kind="concurrency", amount=3),
    RateLimit(name="money", kind="cost", amount=200, window_seconds=60),
    RateLimit(name="day", kind="tokens", amount=300, window="day", time_zone="Europe/Berlin", per="user"),
    RateLimit(name="tenant-requests", amount=16, window_seconds=7, per="tenant"),
    RateLimit(name="tenant-tokens", kind="tokens", amount=150, window_seconds=30, per="tenant"),
    RateLimit(name="all", amount=20, window_seconds=7, per="global"),
)
CALLERS = (
    Caller("acme", "key-1", "api_key", frozenset(DEFAULT_SCOPES), user="ann"),
    Caller("acme", "key-2", "api_key", frozenset(DEFAULT_SCOPES), user="ann"),
    Caller("other", "key-3", "api_key", frozenset(DEFAULT_SCOPES)),
)
Outcome = Reservation | LimitExceeded | LargerThanLimit | AdmissionUnavailable

usages = st.builds(
    lambda prompt, answer: Usage(1, prompt, answer, cost=prompt + 2 * answer), st.integers(0, 60), st.integers(0, 60)
)
some_usages = usages.filter(lambda usage: min(usage.prompt_tokens, usage.completion_tokens) > 0)
callers = st.sampled_from(CALLERS)
clients = st.integers(0, 2)
delays = st.lists(st.floats(0, 0.5), max_size=3)
faults = st.lists(st.sampled_from(["", "", "", "contended", "unreachable", "lost"]), max_size=2)


class AdmissionMachine(RuleBasedStateMachine):
    """Three processes on one store. A commit that takes longer than the deadline is done, but nobody is told."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(1_800_000_000 * SECOND)
        self.latest = self.clock.now
        self.store = VirtualDocuments(self.clock)
        self.policy = AdmissionPolicy(deadline_ms=DEADLINE_MS)
        self.ledger = Ledger(LEASE_SECONDS, DEADLINE_MS)
        self.numbers: dict[tuple[str, str], set[int]] = {}
        self.unknown: Counter[str] = Counter()
        self.denied: dict[tuple[int, str, str], int] = {}
        self.fresh = {0, 1, 2}
        self.excused: dict[tuple[str, str | None], int] = {}
        self.faults: list[str] = []
        self.delays: list[float] = []
        self.unsure = self.answered = False
        self.gather = lambda: None

    @initialize(
        skews=st.lists(st.floats(-100, 100), min_size=3, max_size=3),
        limits=st.lists(st.sampled_from(LIMITS), min_size=1, max_size=2, unique_by=lambda limit: limit.name),
    )
    def start(self, skews: list[float], limits: list[RateLimit]) -> None:
        self.limits = limits  # few, so that one does not hide that another fails
        self.skews = [round(skew * SECOND) for skew in skews]
        self.processes = [0, 1, 2]
        self.clients = [self.process(index) for index in range(3)]
        self.store.before, self.store.after = self.on_the_way, self.on_the_way_back

    def process(self, index: int) -> Limiter:
        clock = SkewedClock(self.clock, self.skews[index])
        return Limiter(self.store, self.limits, self.policy, clock, lease_seconds=LEASE_SECONDS)

    def on_the_way(self) -> None:
        self.gather()
        self.delay = self.delays.pop() if self.delays else 0.001
        fault = self.faults.pop() if self.faults else ""
        if fault == "contended":
            raise StoreContended("Somebody else writes.")
        self.lost = fault == "lost"
        self.unsure |= fault != "" or self.delay * 1000 > DEADLINE_MS
        if fault == "unreachable":
            raise StoreUnavailable("No connection.")
        self.clock.advance(self.delay)

    def on_the_way_back(self) -> None:
        if self.lost or self.delay * 1000 > DEADLINE_MS:
            raise StoreUnavailable("Nobody knows.")
        self.answered = True

    # --- what happens ---------------------------------------------------------------------------

    @rule(client=clients, caller=callers, usage=usages, faults=faults, delays=delays, times=st.integers(1, 12))
    def ask(
        self, client: int, caller: Caller, usage: Usage, faults: list[str], delays: list[float], times: int
    ) -> None:
        self.faults, self.delays = faults, delays
        for _ in range(times):
            troubled = bool(self.faults or self.delays)
            before, commits, self.unsure, self.answered = self.clock.now, len(self.store.commits), False, False
            outcome = self.reserve(client, caller, usage)
            self.judge(client, caller, [(usage, outcome)], before, commits, troubled)
        self.faults, self.delays = [], []

    @rule(
        client=clients,
        caller=callers,
        usages=st.lists(some_usages, min_size=2, max_size=6),
        faults=faults,
        delays=delays,
        ends=st.booleans(),
    )
    def ask_together(
        self, client: int, caller: Caller, usages: list[Usage], faults: list[str], delays: list[float], ends: bool
    ) -> None:
        """While the first one's commit is on its way the others queue, and an end with them: they share the next."""
        ending = next((each for each in self.ledger.admitted if ends and each.runs and each.estimate.cost), None)
        if ending is not None:
            client, caller = ending.client, ending.caller
        outcomes: dict[int, Outcome] = {}
        threads: list[threading.Thread] = []
        waiting = self.clients[client]._groups._waiting

        def join_the_queue(work: Any, *arguments: Any) -> None:
            queued = sum(map(len, waiting.values()))
            thread = threading.Thread(target=work, args=arguments)
            thread.start()
            threads.append(thread)
            while thread.is_alive() and sum(map(len, waiting.values())) == queued:
                time.sleep(0.0002)

        def ask_one(index: int) -> None:
            outcomes[index] = self.reserve(client, caller, usages[index])

        def gather() -> None:
            self.gather = lambda: None
            for index in range(1, len(usages)):
                join_the_queue(ask_one, index)
            if ending is not None:
                join_the_queue(self.settle, ending, Usage(0))

        troubled = bool(faults or delays)
        self.faults, self.delays, self.gather = faults, delays, gather
        before, commits, self.unsure, self.answered = self.clock.now, len(self.store.commits), False, False
        ask_one(0)
        self.gather()  # where the first one needed no commit
        for thread in threads:
            thread.join()
        if ending is not None:
            self.settled(ending)
        asked = [(usage, outcomes[index]) for index, usage in enumerate(usages)]
        self.judge(client, caller, asked, before, commits, troubled)
        self.faults, self.delays = [], []

    def reserve(self, client: int, caller: Caller, usage: Usage) -> Outcome:
        try:
            return self.clients[client].reserve(caller, "default", usage)
        except (LimitExceeded, AdmissionUnavailable, LargerThanLimit) as refusal:
            return refusal

    @rule(
        data=st.data(),
        share=st.floats(0, 1),
        refused=st.booleans(),
        fault=st.sampled_from(["", "", "contended", "unreachable", "lost"]),
        delay=st.floats(0, 0.3),
        twice=st.booleans(),
    )
    def end(self, data: Any, share: float, refused: bool, fault: str, delay: float, twice: bool) -> None:
        running = [each for each in self.ledger.admitted if each.runs]
        assume(running)
        each = data.draw(st.sampled_from(running))
        prompt, answer = int(each.estimate.prompt_tokens * share), int(each.estimate.completion_tokens * share)
        self.faults, self.delays, self.unsure = [fault], [delay], False
        actual = Usage(int(not refused), prompt, answer, cost=prompt + 2 * answer)
        self.settle(each, actual)
        self.settled(each)
        if twice:
            self.clients[each.client].settle(each.reservation, actual)
        self.faults, self.delays = [], []

    def settled(self, each: Admitted) -> None:
        each.settled_surely = not self.unsure
        if self.unsure:
            for limit in self.limits:
                self.ledger.lose_chunks(limit, each.caller, self.clock.now, 1)

    def settle(self, each: Admitted, actual: Usage) -> None:
        each.settled_at, each.actual = self.clock.now, actual
        self.clients[each.client].settle(each.reservation, actual)
        each.settled_by = max(self.clock.now, self.latest)

    @rule(client=clients)
    def crash(self, client: int) -> None:
        self.clients[client] = self.process(client)
        self.processes[client] = max(self.processes) + 1
        self.fresh.add(client)
        self.denied = {place: at for place, at in self.denied.items() if place[0] != client}
        for each in self.ledger.admitted:
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

    @rule(data=st.data(), past=st.floats(-0.4, 0.4), epoch=st.booleans())
    def wait_for_an_edge(self, data: Any, past: float, epoch: bool) -> None:
        """Until about the next bucket or the next document, where mistakes are made."""
        limit = data.draw(st.sampled_from(self.limits))
        rule = self.ledger.rule(limit)
        period = data.draw(st.sampled_from([rule.period, rule.lease or rule.period]))
        bucket = period.bucket(self.clock.now)
        if isinstance(period, Day):
            edge = period.leaves(bucket)
        else:
            edge = (period.epoch_start(period.epoch(bucket) + 1) if epoch else bucket + 1) * period.width
        self.clock.now = max(self.clock.now, edge + round(past * SECOND))

    @precondition(lambda self: all(limit.kind != "cost" for limit in self.limits))
    @rule(data=st.data(), caller=callers, usage=usages, past=st.floats(0, 0.2), seconds=st.floats(0, STEP_BACK))
    def the_stores_clock_steps_back(self, data: Any, caller: Caller, usage: Usage, past: float, seconds: float) -> None:
        """Over an edge, after as much was let in as possible: what was charged "later" has come before."""
        self.wait_for_an_edge(data, past, data.draw(st.booleans()))
        for client in data.draw(st.permutations(range(3)))[:2]:
            self.ask(client, caller, usage, [], [], 8)
            self.latest = max(self.latest, self.clock.now)
            self.clock.now = max(self.clock.now - round(seconds * SECOND), self.latest - round(STEP_BACK * SECOND))
            self.store.step_back()

    @rule(data=st.data(), client=clients, caller=callers, more=st.booleans())
    def ask_for_all_that_is_left(self, data: Any, client: int, caller: Caller, more: bool) -> None:
        """Exactly what a limit can still grant must be let in, and one more must not."""
        limit = data.draw(st.sampled_from(self.limits))
        if more:
            cost = limit.amount - self.ledger.least(limit, caller, self.clock.now) + 1
        else:
            cost = limit.amount - self.ledger.most(limit, caller, self.clock.now)
        if cost <= 0 or limit.kind in ("requests", "concurrency"):
            self.ask(client, caller, Usage(1, 1, 0, cost=1), [], [], min(max(cost, 1), 20))
        else:
            self.ask(client, caller, Usage(1, cost, 0, cost=cost), [], [], 1)

    # --- what must hold -------------------------------------------------------------------------

    def judge(
        self,
        client: int,
        caller: Caller,
        asked: list[tuple[Usage, Outcome]],
        before: int,
        commits: int,
        troubled: bool,
    ) -> None:
        """Note what became of requests that were made together, and ask for the reasons."""
        lost_at = self.clock.now
        if client in self.fresh and len(self.store.commits) > commits:
            # Until it is answered it charges where its own clock says. What leaves within the deadline is left there.
            if self.answered:
                self.fresh.remove(client)
            lost_at += max(0, self.skews[client])
            soon = self.clock.now + DEADLINE_MS * 1_000_000
            self.excused |= {(limit.name, subject(limit, caller)): soon for limit in self.limits}
        for usage, outcome in asked:
            if isinstance(outcome, Reservation):
                self.number(caller, outcome.epoch, outcome.seq)
                self.ledger.admitted.append(Admitted(caller, client, outcome.committed, outcome, usage))
            elif isinstance(outcome, AdmissionUnavailable):
                assert troubled, "no request fails by itself"
                self.unknown[caller.key_id] += outcome.unknown is not None
            if self.unsure:
                self.ledger.lost.append(Lost(caller, lost_at, usage, ATTEMPTS))
        for limit in self.limits:
            self.ledger.asked(self.processes[client], limit, caller, lost_at)
            if self.unsure:
                self.ledger.lose_chunks(limit, caller, lost_at, ATTEMPTS)
        excess = [found for limit in self.limits for found in self.ledger.excess(limit, before - SECOND)]
        assert not excess, "more is let in than a limit grants"
        for usage, outcome in asked:
            if isinstance(outcome, LimitExceeded):
                self.denial(client, caller, usage, outcome, before)

    def denial(self, client: int, caller: Caller, usage: Usage, denial: LimitExceeded, before: int) -> None:
        (limit,) = (limit for limit in self.limits if limit.name == denial.exceeded.name)
        place = (client, limit.name, subject(limit, caller) or "")
        if denial.seq is None:
            # A process learns of the store's clock as late as its commits come.
            assert self.clock.now - self.denied[place] <= 2.5 * SECOND, "a denial is repeated for a second"
            return
        self.number(caller, denial.epoch, denial.seq)
        self.denied[place] = self.clock.now
        if before > self.excused.get((limit.name, subject(limit, caller)), 0):
            held = self.ledger.most(limit, caller, before)
            assert held + self.ledger.rule(limit).cost(usage) > limit.amount, "what fits is let in"

    def number(self, caller: Caller, epoch: str | None, seq: int) -> None:
        taken = self.numbers.setdefault((caller.key_id, epoch or ""), set())
        assert seq not in taken, "no number is given twice"
        taken.add(seq)

    @invariant()
    def nothing_is_negative(self) -> None:
        for fields, _ in self.store.documents.values():
            assert all(count >= 0 for count in counts_in(fields).values())

    @invariant()
    def no_number_is_missing_without_a_word(self) -> None:
        missing: Counter[str] = Counter()
        for (key_id, _), taken in self.numbers.items():
            missing[key_id] += max(taken) - len(taken)
        assert all(count <= self.unknown[key_id] for key_id, count in missing.items())


TestAdmission = AdmissionMachine.TestCase
TestAdmission.settings = settings(
    max_examples=int(os.environ.get("WARDGATE_EXAMPLES", "80")),
    phases=[phase for phase in Phase if phase is not Phase.shrink or "WARDGATE_EXAMPLES" not in os.environ],
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
