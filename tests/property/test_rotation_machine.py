"""Rotation as hypothesis drives it: any order of ticks, orders, rollbacks, failures, pauses and deaths.

Two things hold at every moment: a reader is served, and no value stands in any document. And once the
failures end, one live key and one readable version are left.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.errors import StoreUnavailable
from shared.rotation.drivers.port import KeyNotAccepted, ProviderRefused, ProviderUnavailable
from shared.rotation.journal import Busy
from shared.rotation.machine import FOREVER, SCHEDULE, Order
from shared.rotation.rotator import RollbackRefused, Rotator
from shared.rotation.schedule import read_record
from shared.stores.secret_reader import SecretReader
from tests.support.rotation import HOUR, NAME, MemoryProvider, MemorySecrets, assert_settled, is_served, managed
from tests.support.virtual_time import SECOND, ManualClock, SkewedClock, VirtualDocuments


class Death(BaseException):
    """What kills a process; nothing in the product may catch it."""


ORDERS = st.sampled_from([SCHEDULE, SCHEDULE, Order(before=FOREVER), Order(before=FOREVER, urgent=True)])
TROUBLES = st.sampled_from(
    [
        Death(),
        ProviderUnavailable("no"),
        ProviderUnavailable("no", retry_after=700),
        ProviderRefused("no"),
        StoreUnavailable("no"),
    ]
)
PLACES = {
    "store": ("access", "add", "versions", "enable", "disable", "destroy", "label"),
    "provider": ("create", "test", "revoke", "list"),
    "documents": ("commit", "get"),
}
CALLS = st.sampled_from([(place, call) for place, calls in PLACES.items() for call in calls])


class Rotation(RuleBasedStateMachine):
    """One secret, a provider and a store that fail, and processes that die or sleep."""

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        self.documents = VirtualDocuments(self.clock)
        self.store = MemorySecrets(self.clock)
        self.provider = MemoryProvider()
        self.secret = managed(self.provider)
        self.generation = 0
        self.told: set[int] = set()
        self.rolled_back: set[int] = set()
        self.rotator(0).tick(self.secret)
        self.reader = SecretReader(self.store, self.documents, "production", {}, monotonic=self.seconds)

    def rotator(self, ahead: int) -> Rotator:
        clock = SkewedClock(self.clock, ahead * SECOND)
        return Rotator(
            self.store, self.documents, clock, log=lambda *_, **__: None, tell=self.tell, chance=random.Random(1)
        )

    def tell(self, action: str, secret: str, detail: str) -> None:
        self.told.add(int(detail.split(",")[0].removeprefix("generation ")))

    def seconds(self) -> float:
        return self.clock.now / SECOND

    @rule(order=ORDERS, ahead=st.sampled_from([0, 0, -1000, 1000]))
    def tick(self, order: Order, ahead: int) -> None:
        self.rotator(ahead).tick(self.secret, order)

    @rule(order=ORDERS, call=CALLS, trouble=TROUBLES, skipped=st.integers(0, 6), after=st.booleans())
    def tick_in_trouble(
        self, order: Order, call: tuple[str, str], trouble: BaseException, skipped: int, after: bool
    ) -> None:
        """One call of the tick fails, or dies: before it did anything, or after."""
        if call[0] == "documents" and not isinstance(trouble, Death):
            trouble = StoreUnavailable("no")
        if call[0] == "store" and not isinstance(trouble, Death):
            trouble = StoreUnavailable("no")
        if call == ("provider", "test") and isinstance(trouble, ProviderRefused):
            trouble = KeyNotAccepted("no")

        def fail(real: Any, *arguments: Any) -> Any:
            if after:
                real(*arguments)
            raise trouble

        with suppress(Death):
            self.with_call(call, skipped, fail, order)

    @rule(order=ORDERS, other=ORDERS, call=CALLS, skipped=st.integers(0, 6), pause=st.sampled_from([1, 1000, 5000]))
    def tick_while_another_ticks(
        self, order: Order, other: Order, call: tuple[str, str], skipped: int, pause: int
    ) -> None:
        """A process sleeps in one of its calls, maybe past its lease, and another does what there is to do."""

        def sleep(real: Any, *arguments: Any) -> Any:
            self.clock.advance(pause)
            self.rotator(0).tick(self.secret, other)
            return real(*arguments)

        self.with_call(call, skipped, sleep, order)

    def with_call(self, call: tuple[str, str], skipped: int, instead: Any, order: Order) -> None:
        """A tick in which one call goes another way."""
        place = getattr(self, call[0])
        real = getattr(place, call[1])
        left = [skipped]

        def changed(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] >= 0:
                return real(*arguments)
            setattr(place, call[1], real)
            return instead(real, *arguments)

        setattr(place, call[1], changed)
        try:
            self.rotator(0).tick(self.secret, order)
        finally:
            setattr(place, call[1], real)

    @rule()
    def roll_back(self) -> None:
        with suppress(RollbackRefused, Busy):
            self.rolled_back.add(self.rotator(0).rollback(self.secret).generation or 0)

    @rule(seconds=st.sampled_from([1, 70, 300, HOUR, 25 * HOUR, 100 * 24 * HOUR]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0, 0, 30]))
    def see_late(self, seconds: int) -> None:
        """New versions are seen later from now on; those that were seen stay seen."""
        self.clock.advance(31)
        self.store.seen_after = seconds * SECOND

    @invariant()
    def readers_are_served(self) -> None:
        fresh = SecretReader(self.store, self.documents, "production", {}, monotonic=self.seconds)
        assert is_served(fresh, self.provider.accepts)
        self.clock.advance(1)  # what a grace period is at least, so that a refused key may be looked up anew
        assert is_served(self.reader, self.provider.accepts)

    @invariant()
    def generations_rise_and_values_are_not_told(self) -> None:
        record = read_record(self.documents, NAME)
        assert record.generation >= self.generation
        self.generation = record.generation
        told = repr(self.documents.documents)
        assert not [value for _, value in self.provider.keys.values() if value.decode() in told]

    def teardown(self) -> None:
        if not hasattr(self, "clock"):
            return
        self.store.seen_after = 0
        for _ in range(12):
            self.clock.advance(26 * HOUR)
            self.rotator(0).tick(self.secret)
        assert_settled(self.store, self.documents, self.provider)
        renewals = set(range(2, read_record(self.documents, NAME).generation + 1)) - self.rolled_back
        assert self.told == renewals, "the trail knows of each renewal, whoever died"


TestRotation = Rotation.TestCase
TestRotation.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
