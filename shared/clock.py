"""Time, as one small port, so that tests can travel in it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells wall-clock time."""

    def time_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""


class SystemClock:
    """The machine's clock."""

    def time_ns(self) -> int:
        return time.time_ns()


def seconds(clock: Clock) -> float:
    """Seconds since the Unix epoch, as the clock has it."""
    return clock.time_ns() / 1e9


def utc(clock: Clock) -> datetime:
    """The clock's time as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds(clock), UTC)
