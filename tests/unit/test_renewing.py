"""A value that is fetched anew by one thread while the others go on."""

from __future__ import annotations

import threading

import pytest

from shared.errors import ServiceUnavailable
from shared.identity import renewing
from shared.identity.renewing import Held, Renewing
from tests.support.virtual_time import SECOND, ManualClock


class Source:
    """Hands out 1, 2, 3 …, each fresh for 10 s and good for 20; can be held back and can fail."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.fetches = 0
        self.failing = False
        self.fetching = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.value = Renewing("a number", self.fetch, clock, cooldown_seconds=3)

    def fetch(self) -> Held[int]:
        self.fetches += 1
        self.fetching.set()
        assert self.may_answer.wait(10)
        if self.failing:
            raise ServiceUnavailable("The source is down.", code="down")
        now = self.clock.time_ns()
        return Held(self.fetches, fresh_until=now + 10 * SECOND, good_until=now + 20 * SECOND)

    def hold_back(self) -> threading.Thread:
        """Let another thread fetch, and return while its fetch hangs."""
        self.fetching.clear()
        self.may_answer.clear()
        thread = threading.Thread(target=self.value.get)
        thread.start()
        assert self.fetching.wait(10)
        return thread

    def release(self, thread: threading.Thread) -> None:
        self.may_answer.set()
        thread.join()


@pytest.fixture
def source() -> Source:
    return Source(ManualClock())


def test_it_is_fetched_when_it_has_aged(source: Source) -> None:
    assert [source.value.get() for _ in range(3)] == [1, 1, 1]
    source.clock.advance(9.9)
    assert source.value.get() == 1
    source.clock.advance(0.1)
    assert source.value.get() == 2


def test_one_that_does_not_suit_is_fetched_again_after_the_cooldown(source: Source) -> None:
    assert source.value.get() == 1
    assert source.value.get(lambda number: number == 2) == 1
    source.clock.advance(3)
    assert source.value.get(lambda number: number == 2) == 2


def test_a_failing_source_is_left_alone_for_five_seconds_and_the_value_serves_until_it_is_bad(source: Source) -> None:
    source.value.get()
    source.failing = True
    source.clock.advance(10)
    assert [source.value.get() for _ in range(3)] == [1, 1, 1]
    assert source.fetches == 2
    source.clock.advance(5)
    assert source.value.get() == 1
    assert source.fetches == 3
    source.clock.advance(5)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable) as caught:
            source.value.get()
        assert caught.value.code == "down"
    assert source.fetches == 4


def test_nobody_waits_for_a_fetch_who_holds_what_suits(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "_PATIENCE_SECONDS", 60.0)
    source.value.get()
    source.clock.advance(10)
    other = source.hold_back()
    assert source.value.get() == 1
    source.release(other)
    assert source.value.get() == 2


def test_whoever_holds_nothing_good_waits_for_a_fetch(source: Source) -> None:
    source.value.get()
    source.clock.advance(20)
    other = source.hold_back()
    threading.Timer(0.05, source.may_answer.set).start()
    assert source.value.get() == 2
    source.release(other)


def test_patience_ends(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "_PATIENCE_SECONDS", 0.05)
    other = source.hold_back()
    with pytest.raises(ServiceUnavailable):
        source.value.get()
    source.release(other)
    assert source.value.get() == 1


def test_a_thread_that_waited_does_not_fetch_again(source: Source) -> None:
    other = source.hold_back()
    numbers: list[int] = []
    waiting = [threading.Thread(target=lambda: numbers.append(source.value.get())) for _ in range(4)]
    for thread in waiting:
        thread.start()
    source.release(other)
    for thread in waiting:
        thread.join()
    assert numbers == [1, 1, 1, 1]
    assert source.fetches == 1


def test_a_bug_in_the_source_leaves_no_lock_behind(source: Source) -> None:
    def broken() -> Held[int]:
        raise RuntimeError

    source.value._fetch, fetch = broken, source.value._fetch
    with pytest.raises(RuntimeError):
        source.value.get()
    source.value._fetch = fetch
    assert source.value.get() == 1
