"""A circuit breaker: leaves a target alone for a while after it has failed several times in a row.

After M. Nygard, *Release It!* (2007), with the half-open state kept as simple as it can be: while open,
one call is let through in each period as a trial, and nothing waits for a trial that never reports.
Kept per process: each instance finds out for itself, at the price of a few failures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Counts failures in a row. Safe for threads."""

    def __init__(self, failures: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            failures: Failures in a row after which the breaker opens.
            seconds: How long it stays open, and how far apart trials are after that.
            now: Tells the time in seconds; only differences count.
        """
        self._failures = failures
        self._seconds = seconds
        self._now = now
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._open_until = 0.0

    def wait(self) -> float:
        """Seconds until a call may go through; 0 lets this one through, and counts it as the trial if open."""
        with self._lock:
            if self._in_a_row < self._failures:
                return 0.0
            now = self._now()
            if now < self._open_until:
                return self._open_until - now
            self._open_until = now + self._seconds
            return 0.0

    def succeeded(self) -> None:
        """The target has answered: close."""
        with self._lock:
            self._in_a_row = 0

    def failed(self) -> None:
        """The target has failed."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self._failures:
                self._open_until = self._now() + self._seconds
