"""A request's time: its own work counts, waiting has a bound of its own."""

from __future__ import annotations

import time
from threading import Semaphore

import pytest

from shared.guards.allowance import Allowance


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_own_work_counts() -> None:
    allowance, turns = Allowance(0.02), Semaphore()
    with allowance.turn(turns):
        work(0.03)
    with pytest.raises(TimeoutError, match="time is over"), allowance.turn(turns):
        pass


def test_waiting_does_not_count_as_work() -> None:
    allowance, turns = Allowance(0.02), Semaphore()
    for _ in range(3):
        with allowance.turn(turns):
            time.sleep(0.03)


def test_waiting_ends() -> None:
    allowance, taken = Allowance(1.0, 0.02), Semaphore(0)
    with pytest.raises(TimeoutError, match="before its turn"), allowance.turn(taken):
        pass
    with pytest.raises(TimeoutError, match="time is over"), allowance.turn(Semaphore()):
        pass


def test_a_turn_is_given_back_whatever_happens_in_it() -> None:
    turns = Semaphore()
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), Allowance(1.0, 1.0).turn(turns):
            raise ValueError("broken")
    assert turns.acquire(blocking=False)
