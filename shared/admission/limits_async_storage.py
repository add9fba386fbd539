"""Storage on Firestore for ``limits.aio``: all three strategies for event loops."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from limits.aio.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from limits.storage.base import TimestampedSlidingWindow

from shared.admission.limits_common import ATTEMPTS, STRIPES, parse, pause
from shared.admission.limits_steps import PAGE_DOCUMENTS, Get, Page, Step, Steps
from shared.admission.limits_windows import Windows
from shared.errors import PreconditionFailed, StoreContended, StoreError
from shared.stores.firestore_async import AsyncFirestoreDocuments

T = TypeVar("T")


class AsyncFirestoreStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """What ``FirestoreStorage`` is for threads, with the same options."""

    STORAGE_SCHEME = ["async+firestore"]  # noqa: RUF012  # as the base class declares it

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        timeout_seconds: float = 2.0,
        memory_seconds: float = 10.0,
        **options: float | str | bool,
    ) -> None:
        """See ``FirestoreStorage``."""
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        project, database, collection = parse(uri)
        self._documents = AsyncFirestoreDocuments(project, database, timeout_seconds=float(timeout_seconds))
        self._windows = Windows(collection, memory_seconds=float(memory_seconds))
        self._locks: tuple[asyncio.AbstractEventLoop | None, list[asyncio.Lock]] = (None, [])

    @property
    def base_exceptions(self) -> type[Exception]:
        """What this storage raises where Firestore does not serve it."""
        return StoreError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count in a fixed window and return the count."""
        if self._windows.fixed.has(key):
            return await self._run(self._windows.fixed.hit(key, expiry, amount))
        async with self._lock(key):
            return await self._run(self._windows.fixed.hit(key, expiry, amount))

    async def get(self, key: str) -> int:
        """The count of a fixed window."""
        return await self._run(self._windows.fixed.count(key))

    async def get_expiry(self, key: str) -> float:
        """When a fixed window ends, in seconds since the Unix epoch."""
        return await self._run(self._windows.fixed.end(key))

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Hit a moving window."""
        async with self._lock(key):
            return await self._run(self._windows.moving.hit(key, limit, expiry, amount))

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Where a moving window begins and how much is in it."""
        state = await self._run(self._windows.moving.see(key, expiry))
        return state.start, state.amount

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Hit a sliding window counter."""
        return await self._run(self._windows.sliding.hit(key, limit, expiry, amount))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and remaining seconds of the previous window and of this one."""
        state = await self._run(self._windows.sliding.see(key, expiry))
        return state.previous, state.previous_seconds, state.current, state.current_seconds

    async def clear(self, key: str) -> None:
        """Forget a key's fixed and moving window."""
        await self._run(self._windows.clear(key))

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key's sliding window counter."""
        await self._run(self._windows.sliding.clear(key, expiry))

    async def reset(self) -> int:
        """Delete every document of the collection and return how many there were."""
        return await self._run(self._windows.reset())

    async def check(self) -> bool:
        """Whether Firestore answers."""
        try:
            await self._run(self._windows.probe())
        except StoreError:
            return False
        return True

    def _lock(self, key: str) -> asyncio.Lock:
        loop, locks = self._locks
        if loop is not asyncio.get_running_loop():
            locks = [asyncio.Lock() for _ in range(STRIPES)]
            self._locks = (asyncio.get_running_loop(), locks)
        return locks[hash(key) % STRIPES]

    async def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._take(step)
                except PreconditionFailed as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _take(self, step: Step) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                return await self._ask(step)
            except StoreContended:
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(pause(attempt))
        raise AssertionError

    async def _ask(self, step: Step) -> Any:
        if isinstance(step, Get):
            return await self._documents.get(step.path)
        if isinstance(step, Page):
            return await self._documents.page(step.collection, step.after, PAGE_DOCUMENTS)
        return await self._documents.commit(step)
