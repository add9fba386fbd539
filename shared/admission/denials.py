"""Denials that a process may repeat by itself: under attack a limit costs hardly any commits."""

from __future__ import annotations

import threading
from typing import NamedTuple

from msgspec import Struct, structs

from shared.admission.headers import rate_limit_headers
from shared.admission.port import LimitExceeded, LimitState, used_up

_SECOND = 1_000_000_000

LONGEST = _SECOND
"""For so long at most is a denial repeated: a refund may free the limit earlier than was foreseen."""

CAPACITY = 10_000
"""Denials remembered at once; one that is forgotten costs a commit."""


_TELLS = _SECOND // 20
"""For so long a repeated denial is told in the same words. They are those of its beginning, so that nobody
comes back too early."""


class _Told(NamedTuple):
    """What is said of a denial for a while."""

    turn: int
    wait: float
    limits: tuple[LimitState, ...]
    headers: dict[str, str]
    message: str


class Denial(Struct):
    """A denial as it was decided."""

    at: int
    """Nanoseconds since the Unix epoch."""

    retry_after: int
    """From ``at``, in nanoseconds."""

    free: int
    """What the limit had left: a smaller request may still be let in."""

    exceeded: LimitState
    limits: tuple[LimitState, ...]
    _told: _Told | None = None

    def lasts(self, now: int) -> bool:
        """Whether it may be repeated at ``now``."""
        return self.at <= now < self.at + min(self.retry_after, LONGEST)

    def error(self, now: int, *, seq: int | None = None, epoch: str | None = None) -> LimitExceeded:
        """The error for the caller, its durations counted from ``now``."""
        turn = (now - self.at) // _TELLS
        told = self._told
        if told is None or told.turn != turn:
            told = self._told = self._tell(turn)
        _, wait, limits, headers, message = told
        return LimitExceeded(self.exceeded, wait, limits, seq=seq, epoch=epoch, message=message, headers=headers)

    def _tell(self, turn: int) -> _Told:
        passed = turn * _TELLS / _SECOND
        wait = max(0.0, self.retry_after / _SECOND - passed)
        limits = tuple(_later(state, passed) for state in self.limits) if passed else self.limits
        return _Told(turn, wait, limits, rate_limit_headers(limits, wait), used_up(self.exceeded, wait))


def _later(state: LimitState, passed: float) -> LimitState:
    return structs.replace(
        state,
        reset_seconds=max(0.0, state.reset_seconds - passed),
        more_seconds=max(0.0, state.more_seconds - passed),
    )


class DenialCache:
    """The newest denial of each limit and subject. Thread-safe."""

    def __init__(self) -> None:
        self._denials: dict[tuple[str, str], Denial] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._denials)

    def find(self, counter: tuple[str, str], cost: int, now: int) -> Denial | None:
        """A denial that may be repeated at ``now`` for a request of this cost.

        Args:
            counter: The limit's name and the subject.
            cost: What the request would be charged.
            now: Nanoseconds since the Unix epoch.
        """
        denial = self._denials.get(counter)
        return denial if denial is not None and cost > denial.free and denial.lasts(now) else None

    def add(self, counter: tuple[str, str], denial: Denial) -> None:
        """Remember a denial; where there are too many, forget those that are over, or else all."""
        with self._lock:
            if len(self._denials) >= CAPACITY:
                self._denials = {key: kept for key, kept in self._denials.items() if kept.lasts(denial.at)}
            if len(self._denials) >= CAPACITY:
                self._denials = {}
            self._denials[counter] = denial
