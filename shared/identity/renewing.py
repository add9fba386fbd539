"""A value that ages and is fetched anew: an issuer's keys, a token.

One thread fetches while the others go on with the value that is held, as long as that is good enough
for them. When the source fails, the held value serves until it is no longer good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.clock import Clock
from shared.errors import ServiceUnavailable
from shared.web.log import log

T = TypeVar("T")

_RETRY_SECONDS = 5.0
"""Between two tries at a source that failed."""

_PATIENCE_SECONDS = 1.0
"""How long a thread waits for another one's fetch. Short: else callers that ask for what does not exist
could hold every thread of the process while a source hangs."""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
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
        if held is not None and now < held.fresh_until and suits(held.value):
            return held.value
        good = held is not None and now < held.good_until
        if held is not None and good and now < self._next_fetch:
            return held.value
        patience = 0 if held is not None and good and suits(held.value) else _PATIENCE_SECONDS
        if self._lock.acquire(timeout=patience):
            try:
                return self._get_alone(held)
            finally:
                self._lock.release()
        return self._good_value()

    def _get_alone(self, seen: Held[T] | None) -> T:
        """``seen``: what was held before this thread waited; if it is another one now, a fetch has just ended."""
        if self._held is seen and self._clock.time_ns() >= self._next_fetch:
            try:
                self._held = self._fetch()
                self._next_fetch = self._clock.time_ns() + self._cooldown
            except ServiceUnavailable as error:
                self._failure = error
                self._next_fetch = self._clock.time_ns() + int(_RETRY_SECONDS * 1e9)
                log("WARNING", "identity.fetch_failed", what=self._name, code=error.code)
        return self._good_value()

    def _good_value(self) -> T:
        held = self._held
        if held is None or self._clock.time_ns() >= held.good_until:
            raise ServiceUnavailable(self._failure.message, code=self._failure.code)
        return held.value
