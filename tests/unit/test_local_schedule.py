"""The local stack's schedule: what it calls, when it begins, and that it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shared.local.schedule import Schedule
from tests.support.loopback import Handler, LoopbackServer


class Function(LoopbackServer):
    """Counts the calls it gets."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        super().__init__(self._handler())

    def _handler(function) -> type[Handler]:
        class Counting(Handler):
            def do_POST(self) -> None:
                function.calls.append(self.path)
                self.send(503)

        return Counting


@pytest.fixture
def function() -> Iterator[Function]:
    with Function() as server:
        yield server


def wait_for(function: Function, calls: int) -> None:
    deadline = time.monotonic() + 20
    while len(function.calls) < calls:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(schedule: Schedule) -> bool:
    schedule.finish()
    deadline = time.monotonic() + 20
    while schedule.is_at_work() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not schedule.is_at_work()


def test_it_calls_at_once_again_and_once_more_at_the_end(function: Function) -> None:
    schedule = Schedule(f"{function.origin}/", seconds=0.05)
    schedule.start()
    wait_for(function, 3)
    before = len(function.calls)
    assert ended(schedule)
    assert len(function.calls) > before
    assert set(function.calls) == {"/"}


def test_it_may_wait_before_the_first_call(function: Function) -> None:
    schedule = Schedule(f"{function.origin}/", seconds=3600, at_once=False)
    schedule.start()
    assert schedule.is_at_work()
    assert function.calls == []
    assert ended(schedule)
    assert len(function.calls) == 1


def test_a_function_that_is_not_there_ends_nothing() -> None:
    schedule = Schedule("http://127.0.0.1:9/", seconds=0.01)
    schedule.start()
    time.sleep(0.1)
    assert schedule.is_at_work()
    assert ended(schedule)
