"""The time that one request may take of work which its neighbours want, too."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore


class Allowance:
    """Counts the processor's time that the request's own work takes. For one thread.

    Waiting for a turn, or for a processor that others keep busy, is not the request's doing and has a bound of its own.

    Args:
        own: Seconds of the processor for its own work.
        in_all: Seconds from now until its last piece of work must have begun.
    """

    def __init__(self, own: float = math.inf, in_all: float = math.inf) -> None:
        self._left = own
        self._end = time.monotonic() + in_all

    @contextmanager
    def turn(self, turns: Semaphore) -> Iterator[None]:
        """One piece of work, once ``turns`` has room for it.

        Raises:
            TimeoutError: There is no time left, or there was none when its turn had come.
        """
        waiting = self._end - time.monotonic()
        if self._left <= 0 or waiting <= 0:
            raise TimeoutError("the request's time is over")
        if not turns.acquire(timeout=None if math.isinf(waiting) else waiting):
            raise TimeoutError("the request's time was over before its turn came")
        began = time.thread_time()
        try:
            yield
        finally:
            self._left -= time.thread_time() - began
            turns.release()
