"""Calls a function from time to time, as Cloud Scheduler does, in a thread of the supervisor."""

from __future__ import annotations

import threading
from contextlib import suppress

import urllib3

_TIMEOUT_SECONDS = 60.0


class Schedule:
    """POSTs to one URL, at once, every so many seconds, and once more when it is to finish."""

    def __init__(self, url: str, *, seconds: float, at_once: bool = True) -> None:
        """Does not start yet.

        Args:
            url: What to call.
            seconds: Between two calls.
            at_once: Whether the first call comes at the start, or so many seconds later.
        """
        self._url = url
        self._seconds = seconds
        self._at_once = at_once
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedule", daemon=True)

    def start(self) -> None:
        """Call from now on."""
        self._thread.start()

    def finish(self) -> None:
        """Begin the last call; ``is_at_work`` tells when it has ended."""
        self._end.set()

    def is_at_work(self) -> bool:
        """Whether further calls follow or one is under way."""
        return self._thread.is_alive()

    def _run(self) -> None:
        http = urllib3.PoolManager(retries=False)
        if self._at_once:
            self._call(http)
        while not self._end.wait(self._seconds):
            self._call(http)
        self._call(http)

    def _call(self, http: urllib3.PoolManager) -> None:
        # What went wrong is in the function's own log, and the next call tries again.
        with suppress(urllib3.exceptions.HTTPError):
            http.request("POST", self._url, timeout=_TIMEOUT_SECONDS)
