"""What the library ``limits`` asks of a storage, tried on its own and on Firestore, by threads and by an event loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio import strategies as aio_strategies
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

import shared.admission.limits_storage  # noqa: F401  # registers the schemes
from shared.errors import StoreUnavailable

STRATEGIES = [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter]


class Awaited:
    """An object whose coroutines are run to their end, so that one text tries both kinds of storage."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self.inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            answer = getattr(self.inner, name)(*arguments, **options)
            return self._runner.run(answer) if inspect.iscoroutine(answer) else answer

        return call


@pytest.fixture(params=["memory", "firestore", "async+memory", "async+firestore"])
def uri(request: pytest.FixtureRequest) -> str:
    if request.param.endswith("memory"):
        return f"{request.param}://"
    return f"{request.param}://{request.getfixturevalue('firestore_project')}/(default)/limits"


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def storage(uri: str, runner: asyncio.Runner) -> Any:
    options = {} if uri.endswith("memory://") else {"timeout_seconds": 30.0}
    made = storage_from_string(uri, **options)
    return Awaited(made, runner) if uri.startswith("async+") else made


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: strategy.__name__)
def limiter(request: pytest.FixtureRequest, storage: Any, runner: asyncio.Runner) -> Any:
    if isinstance(storage, Awaited):
        return Awaited(getattr(aio_strategies, request.param.__name__)(storage.inner), runner)
    return request.param(storage)


def steady(limit: RateLimitItem) -> RateLimitItem:
    """Wait where a window that follows the clock would end within the next seconds."""
    left = limit.get_expiry() - time.time() % limit.get_expiry()
    if left < 3:
        time.sleep(left + 0.01)
    return limit


def test_as_many_as_the_limit_and_no_more(limiter: Any) -> None:
    limit = steady(RateLimitItemPerMinute(5))
    assert [limiter.hit(limit, "k") for _ in range(7)] == [True] * 5 + [False] * 2
    assert limiter.hit(limit, "other")
    assert limiter.get_window_stats(limit, "k").remaining == 0
    assert 0 < limiter.get_window_stats(limit, "k").reset_time - time.time() <= 60


def test_nothing_hit_yet(limiter: Any) -> None:
    limit = RateLimitItemPerMinute(5)
    stats = limiter.get_window_stats(limit, "k")
    assert stats.remaining == 5
    assert limiter.test(limit, "k", cost=5)
    assert not limiter.test(limit, "k", cost=6)


def test_costs(limiter: Any) -> None:
    limit = steady(RateLimitItemPerMinute(10, 2))
    assert not limiter.hit(limit, "k1", cost=11)
    assert limiter.hit(limit, "k2", cost=5)
    assert limiter.get_window_stats(limit, "k2").remaining == 5
    assert not limiter.test(limit, "k2", cost=6)
    assert not limiter.hit(limit, "k2", cost=6)


def test_test_does_not_count(limiter: Any) -> None:
    limit = steady(RateLimitItemPerHour(1))
    assert all(limiter.test(limit, "k") for _ in range(3))
    assert limiter.hit(limit, "k")
    assert not limiter.test(limit, "k")


def test_clear_gives_all_back(limiter: Any) -> None:
    limit = steady(RateLimitItemPerMinute(2))
    assert [limiter.hit(limit, "k") for _ in range(3)] == [True, True, False]
    limiter.clear(limit, "k")
    assert limiter.get_window_stats(limit, "k").remaining == 2
    assert limiter.hit(limit, "k")


def test_a_window_ends(limiter: Any) -> None:
    limit = RateLimitItemPerSecond(3)
    assert limiter.hit(limit, "k", cost=3)
    time.sleep(2.1)
    assert limiter.get_window_stats(limit, "k").remaining == 3
    assert limiter.hit(limit, "k", cost=3)


def test_many_at_once_get_as_many_as_the_limit(limiter: Any, runner: asyncio.Runner) -> None:
    limit = steady(RateLimitItemPerMinute(5))

    async def tasks() -> list[bool]:
        return await asyncio.gather(*(limiter.inner.hit(limit, "k") for _ in range(60)))

    def threads() -> list[bool]:
        with ThreadPoolExecutor(20) as pool:
            return list(pool.map(lambda _: limiter.hit(limit, "k"), range(60)))

    assert sum(runner.run(tasks()) if isinstance(limiter, Awaited) else threads()) == 5


def test_counts_checks_and_resets(storage: Any) -> None:
    assert storage.check()
    assert storage.get("k") == 0
    assert [storage.incr("k", 60), storage.incr("k", 60, amount=10)] == [1, 11]
    assert 58 < storage.get_expiry("k") - time.time() <= 60
    assert storage.get("k") == 11
    storage.clear("k")
    assert storage.get("k") == 0
    for number in range(20):
        storage.incr(f"key {number}", 60)
    assert storage.reset() == 20
    assert storage.get("key 7") == 0


@pytest.mark.parametrize("bad", ["firestore://", "firestore:///x/y", "firestore://p/d/c/e", "async+firestore://"])
def test_a_malformed_uri_is_refused_at_once(bad: str) -> None:
    with pytest.raises(ConfigurationError):
        storage_from_string(bad)


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("scheme", ["firestore", "async+firestore"])
def test_firestore_out_of_reach(
    scheme: str, wrapped: bool, monkeypatch: pytest.MonkeyPatch, runner: asyncio.Runner
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    storage: Any = storage_from_string(f"{scheme}://p", wrap_exceptions=wrapped, timeout_seconds=0.2)
    storage = Awaited(storage, runner) if scheme.startswith("async") else storage
    assert storage.check() is False
    with pytest.raises(StorageError if wrapped else StoreUnavailable):
        storage.incr("k", 60)
    with pytest.raises(StorageError if wrapped else StoreUnavailable):
        storage.acquire_entry("k", 1, 60)
