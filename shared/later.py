"""What is made when it is first needed, so that a start does not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Later(Generic[T]):
    """Makes something with its first call and keeps it. Other than with ``functools.cache``, threads that call it at
    once wait for the first of them: a burst of requests does not make the same thing many times over.

    A call that raises is tried again by the next.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = threading.Lock()
        _ALL.add(self)

    def __call__(self) -> T:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


_ALL: WeakSet[Later[Any]] = WeakSet()


def make_the_rest() -> None:
    """Make whatever has not been needed yet, in a thread beside what is served: call it when nobody waits."""
    threading.Thread(target=_make_the_rest, name="later", daemon=True).start()


def _make_the_rest() -> None:
    for each in list(_ALL):
        each()
