"""Storage on Firestore for the PyPI library ``limits``, and so for Flask-Limiter and its like.

Importing this module registers ``firestore://project/database/collection`` and, for event loops,
``async+firestore://…`` with the library. It needs nothing else of Wardgate: no settings and no policy.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from limits.storage.base import TimestampedSlidingWindow

from shared.admission.limits_async_storage import AsyncFirestoreStorage
from shared.admission.limits_common import ATTEMPTS, STRIPES, parse, pause
from shared.admission.limits_steps import PAGE_DOCUMENTS, Get, Page, Step, Steps
from shared.admission.limits_windows import Windows
from shared.errors import PreconditionFailed, StoreContended, StoreError
from shared.stores.firestore_documents import FirestoreDocuments

__all__ = ["AsyncFirestoreStorage", "FirestoreStorage"]

T = TypeVar("T")


class FirestoreStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """All three strategies for threads. One commit per hit; see ``docs/limits-storage.md`` for the exceptions."""

    STORAGE_SCHEME = ["firestore"]  # noqa: RUF012  # as the base class declares it

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        timeout_seconds: float = 2.0,
        memory_seconds: float = 10.0,
        **options: float | str | bool,
    ) -> None:
        """Connects at first use.

        Args:
            uri: ``firestore://project/database/collection``; by default ``(default)`` and ``rate_limits``.
            wrap_exceptions: Raise ``limits.errors.StorageError`` in place of ``StoreError``.
            timeout_seconds: Deadline of each call to Firestore.
            memory_seconds: How long the state that a hit has seen answers for its key without a read.
            options: As the library's base class takes them.

        Raises:
            ConfigurationError: The URI names no project, or is malformed.
        """
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        project, database, collection = parse(uri)
        self._documents = FirestoreDocuments(project, database, timeout_seconds=float(timeout_seconds))
        self._windows = Windows(collection, memory_seconds=float(memory_seconds))
        self._locks = [threading.Lock() for _ in range(STRIPES)]

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this storage raises where Firestore does not serve it."""
        return StoreError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count in a fixed window and return the count."""
        # Threads that meet at a window's start take turns, or all but one would fail and read.
        lock: AbstractContextManager[Any] = nullcontext() if self._windows.fixed.has(key) else self._lock(key)
        with lock:
            return self._run(self._windows.fixed.hit(key, expiry, amount))

    def get(self, key: str) -> int:
        """The count of a fixed window."""
        return self._run(self._windows.fixed.count(key))

    def get_expiry(self, key: str) -> float:
        """When a fixed window ends, in seconds since the Unix epoch."""
        return self._run(self._windows.fixed.end(key))

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Hit a moving window."""
        with self._lock(key):
            return self._run(self._windows.moving.hit(key, limit, expiry, amount))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Where a moving window begins and how much is in it."""
        state = self._run(self._windows.moving.see(key, expiry))
        return state.start, state.amount

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Hit a sliding window counter."""
        return self._run(self._windows.sliding.hit(key, limit, expiry, amount))

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and remaining seconds of the previous window and of this one."""
        state = self._run(self._windows.sliding.see(key, expiry))
        return state.previous, state.previous_seconds, state.current, state.current_seconds

    def clear(self, key: str) -> None:
        """Forget a key's fixed and moving window."""
        self._run(self._windows.clear(key))

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key's sliding window counter."""
        self._run(self._windows.sliding.clear(key, expiry))

    def reset(self) -> int:
        """Delete every document of the collection and return how many there were."""
        return self._run(self._windows.reset())

    def check(self) -> bool:
        """Whether Firestore answers."""
        try:
            self._run(self._windows.probe())
        except StoreError:
            return False
        return True

    def _lock(self, key: str) -> threading.Lock:
        return self._locks[hash(key) % STRIPES]

    def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._take(step)
                except PreconditionFailed as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _take(self, step: Step) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                return self._ask(step)
            except StoreContended:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(pause(attempt))
        raise AssertionError

    def _ask(self, step: Step) -> Any:
        if isinstance(step, Get):
            return self._documents.get(step.path)
        if isinstance(step, Page):
            return list(self._documents.list(step.collection, after=step.after, limit=PAGE_DOCUMENTS))
        return self._documents.commit(step)
