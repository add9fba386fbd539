"""A progress bar on the terminal, on standard error; nothing where that is no terminal."""

from __future__ import annotations

import sys
import time

_WIDTH = 24
_PAUSE = 0.1
"""Seconds between two drawings."""


class Bar:
    """Progress of one long job.

    Args:
        what: What is counted, such as ``events read``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._enabled = sys.stderr.isatty()
        self._drawn = 0.0

    def show(self, count: int, done: int, total: int) -> None:
        """Draw it, if it was not drawn just now.

        Args:
            count: How many there were so far.
            done: How far that is …
            total: … of how much; 0 where nobody knows.
        """
        now = time.monotonic()
        if self._enabled and now - self._drawn >= _PAUSE:
            self._drawn = now
            share = min(1.0, done / total) if total else 0.0
            bar = "#" * round(share * _WIDTH)
            print(f"\r{count:>12,} {self._what} [{bar:<{_WIDTH}}]", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove it."""
        if self._enabled:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
