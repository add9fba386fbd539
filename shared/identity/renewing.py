"""A value that ages and is fetched anew: an issuer's keys, a token.

One thread fetches while the others go on with the value that is held, as long as that is good enough
for them. When the source fails, the held value serves until it is no longer good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from shared.clock import Clock
from shared.errors import ServiceUnavailable
from shared.web.log import log

T = TypeVar("T")

_RETRY = 5 * 10**9
"""Nanoseconds between two tries at a source that failed."""

_PATIENCE_SECONDS = 2.0
"""How long a thread waits for another one's fetch. Short: else callers that ask for what does not exist
could hold every thread of the process while a source hangs."""


class Held(Struct, Generic[T], frozen=True):
    """A value with its age. Times are nanoseconds since the Unix epoch."""

    value: T
    fresh_until: int
    """From here on it is fetched anew …"""

    good_until: int
    """… and from here on it is not used even if that fails."""


class Renewing(Generic[T]):
    """Keeps one value, renewed by ``fetch`` when it is needed."""

    def __init__(self, name: str, fetch: Callable[[], Held[T]], clock: Clock, *, cooldown_seconds: float) -> None:
        """
        Args:
            name: What is fetched, for the log.
            fetch: Fetches it; raises ``ServiceUnavailable``.
            clock: Tells the value's age.
            cooldown_seconds: The least time between two fetches.
        """
        self._name = name
        self._fetch = fetch
        self._clock = clock
        self._cooldown = int(cooldown_seconds * 1e9)
        self._held: Held[T] | None = None
        self._failure = ServiceUnavailable("Another request is still fetching it; try again.")
        self._next_fetch = 0
        self._lock = threading.Lock()

    def get(self, suits: Callable[[T], bool] = lambda _: True) -> T:
        """The value; fetched first where it is missing, has aged or does not suit, but never within the cooldown.

        Args:
            suits: Whether a value is the one the caller hopes for. One that does not suit is still returned
                where a fetch brought none that does.

        Raises:
            ServiceUnavailable: No good value is held and the source fails.
        """
        held, now = self._held, self._clock.time_ns()
        good = held is not None and now < held.good_until
        suited = held is not None and good and suits(held.value)
        if held is not None and suited and now < held.fresh_until:
            return held.value
        if self._lock.acquire(timeout=0 if suited else _PATIENCE_SECONDS):
            try:
                self._fetch_if_due()
            finally:
                self._lock.release()
        return self._good_value()

    def _fetch_if_due(self) -> None:
        """Not due is it within the cooldown, which also holds for a thread that waited while another one fetched."""
        if self._clock.time_ns() < self._next_fetch:
            return
        pause = self._cooldown
        try:
            self._held = self._fetch()
        except ServiceUnavailable as error:
            self._failure = error
            pause = _RETRY
            log("WARNING", "identity.fetch_failed", what=self._name, code=error.code)
        self._next_fetch = self._clock.time_ns() + pause

    def _good_value(self) -> T:
        held = self._held
        if held is None or self._clock.time_ns() >= held.good_until:
            raise ServiceUnavailable(self._failure.message, code=self._failure.code)
        return held.value
