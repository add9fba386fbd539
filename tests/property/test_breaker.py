"""The circuit breaker, driven through every order of events on a clock of its own."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.models.breaker import CircuitBreaker


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Breakers(RuleBasedStateMachine):
    """Compared with the words of its description: open after N failures in a row, one trial per period."""

    FAILURES, SECONDS = 3, 10.0

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.breaker = CircuitBreaker(self.FAILURES, self.SECONDS, self.clock)
        self.in_a_row = 0
        self.closed_since = None
        """When the current period without calls began."""

    def is_open(self):
        return self.in_a_row >= self.FAILURES

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 9.5, 10.0, 60.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule()
    def ask(self):
        wait = self.breaker.wait()
        if not self.is_open():
            assert wait == 0
        elif self.clock.now < self.closed_since + self.SECONDS:
            assert wait == self.closed_since + self.SECONDS - self.clock.now
        else:
            assert wait == 0
            self.closed_since = self.clock.now

    @rule()
    def fail(self):
        self.breaker.failed()
        self.in_a_row += 1
        if self.is_open():
            self.closed_since = self.clock.now

    @rule()
    def succeed(self):
        self.breaker.succeeded()
        self.in_a_row = 0

    @precondition(is_open)
    @invariant()
    def it_never_waits_longer_than_a_period(self):
        assert self.closed_since <= self.clock.now


TestBreakers = Breakers.TestCase
TestBreakers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(calls=st.lists(st.floats(0, 3), max_size=60))
@settings(max_examples=60)
def test_while_a_target_is_dead_it_is_asked_once_per_period(calls):
    clock = Clock()
    breaker = CircuitBreaker(2, 10.0, clock)
    breaker.failed()
    breaker.failed()
    asked = []
    for gap in calls:
        clock.now += gap
        if breaker.wait() == 0:
            asked.append(clock.now)
            breaker.failed()
    assert all(later - earlier >= 10.0 for earlier, later in itertools.pairwise(asked))


def test_a_trial_that_never_reports_does_not_close_the_target_for_good():
    clock = Clock()
    breaker = CircuitBreaker(1, 10.0, clock)
    breaker.failed()
    clock.now += 10
    assert breaker.wait() == 0
    assert breaker.wait() == 10
    clock.now += 10
    assert breaker.wait() == 0
