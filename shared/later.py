"""What is made when it is first needed, so that a start does not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from shared.web.log import log

T = TypeVar("T")


class Later(Generic[T]):
    """Makes something with its first call and keeps it. Other than with ``functools.cache``, threads that call it at
    once wait for the first of them: a burst of requests does not make the same thing many times over.

    What cannot be made is not tried again, which would keep every request waiting for the same failure: each call
    raises it at once.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._failure: Exception | None = None
        self._lock = threading.Lock()
        with _ADDING:
            _ALL.add(self)

    def __call__(self) -> T:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._try()
        return self._made[0]

    def _try(self) -> None:
        if self._failure is not None:
            # One of its own for each call: the first would gather what every call holds, prompts too.
            raise NotMade("What this needs could not be made.") from self._failure
        try:
            self._made.append(self._make())
        except Exception as error:
            self._failure = error.with_traceback(None)  # which leads to whatever is being read
            raise NotMade("What this needs cannot be made.") from self._failure


class NotMade(RuntimeError):
    """What is needed cannot be made; its cause says why."""


_ALL: WeakSet[Later[Any]] = WeakSet()
_ADDING = threading.Lock()


def make_the_rest() -> None:
    """Make whatever has not been needed yet, in a thread beside what is served: call it when nobody waits."""
    threading.Thread(target=_make_the_rest, name="later", daemon=True).start()


def _make_the_rest() -> None:
    with _ADDING:  # a set must not grow while it is listed
        everything = list(_ALL)
    for each in everything:
        try:
            each()
        except NotMade as error:  # the rest is needed all the same
            log("ERROR", "later.not_made", error=type(error.__cause__).__name__)
