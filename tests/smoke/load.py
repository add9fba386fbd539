"""What only the real Firestore can show: how long commits take, and what many writers on one document do."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.admission.limiter import Limiter
from shared.admission.port import AdmissionUnavailable, LimitExceeded, Usage
from shared.clock import SystemClock
from shared.errors import StoreContended, StoreUnavailable
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.documents import Write
from tests.smoke.collection import Corner
from tests.smoke.report import Found
from tests.smoke.semantics import is_rising

_PROCESSES = 2
_THREADS = 8
_AMOUNT = 100
_CALLER = Caller("smoke", "smoke", "api_key", frozenset())


def latency(documents: Corner, commits: int) -> Iterator[Found]:
    """One request at a time."""
    limiter = _limiter(documents, RateLimit(name="many", amount=1_000_000, window_seconds=60))
    ways: dict[str, Callable[[], object]] = {
        "bare commit": lambda: documents.commit([Write("load/bare", increments={"n": 1})]),
        "reserve, 1 limit": lambda: limiter.reserve(_CALLER, "m", Usage()),
        "read": lambda: documents.get("load/bare"),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(commits):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    for name, seconds in taken.items():
        yield Found(f"{name}, 1 thread", _distribution(seconds))
    ratio = statistics.median(taken["reserve, 1 limit"]) / statistics.median(taken["bare commit"])
    yield Found("reserve against a bare commit", f"{ratio:.2f} ×")


@dataclass(slots=True)
class _Seen:
    """What one thread saw."""

    commits: list[tuple[int, int, float]] = field(default_factory=list)
    """Count after the commit, the commit's time, and how long it took."""
    aborted: int = 0
    failed: int = 0


def contention(documents: Corner, threads: int, seconds: float) -> Iterator[Found]:
    """Many threads that increment one document, each again as soon as it can."""
    until = time.monotonic() + seconds
    all_seen = [_Seen() for _ in range(threads)]

    def work(seen: _Seen) -> None:
        while time.monotonic() < until:
            started = time.perf_counter()
            try:
                done = documents.commit([Write("load/hot", increments={"n": 1})])
            except StoreContended:
                seen.aborted += 1
            except StoreUnavailable:
                seen.failed += 1
            else:
                value = done.results[0].increments["n"]
                seen.commits.append((value, done.commit_time, time.perf_counter() - started))

    _in_threads([lambda seen=seen: work(seen) for seen in all_seen])
    commits = sorted(commit for seen in all_seen for commit in seen.commits)
    aborted, failed = sum(seen.aborted for seen in all_seen), sum(seen.failed for seen in all_seen)
    name = f"hot document, {threads} threads"
    yield Found(name, f"{len(commits) / seconds:.1f} commits/s")
    yield Found(f"{name}, each", _distribution([taken for _, _, taken in commits]))
    asked = len(commits) + aborted + failed
    yield Found(f"{name}, ABORTED", f"{aborted} of {asked} ({100 * aborted / max(1, asked):.1f} %)")
    yield Found(f"{name}, no answer in time", f"{failed} of {asked}")
    values = [value for value, _, _ in commits]
    yield Found("no increment is lost or made twice", "", _counts(values, failed))
    yield Found("commit_time rises with the count", "", is_rising([at for _, at, _ in commits]))


def exactness(documents: Corner) -> Iterator[Found]:
    """Limiters that share a limit as processes do, each asked by many threads at once, for more than there is."""
    limit = RateLimit(name="exact", amount=_AMOUNT, window_seconds=3600)
    limiters = [_limiter(documents, limit) for _ in range(_PROCESSES)]
    admitted: list[int] = []
    unavailable: list[int] = []

    def work(limiter: Limiter) -> None:
        for _ in range(_AMOUNT // _THREADS):
            try:
                admitted.append(limiter.reserve(_CALLER, "m", Usage()).seq)
            except LimitExceeded:
                pass
            except AdmissionUnavailable:
                unavailable.append(1)

    _in_threads([lambda limiter=limiter: work(limiter) for limiter in limiters for _ in range(_THREADS)])
    told = f"{len(admitted)} of {_AMOUNT} let in, {len(unavailable)} without an answer"
    yield Found(f"a limit of {_AMOUNT}, {_PROCESSES} limiters × {_THREADS} threads", told, len(admitted) <= _AMOUNT)
    yield Found("every admission has its own number", "", len(set(admitted)) == len(admitted))


def _limiter(documents: Corner, limit: RateLimit) -> Limiter:
    return Limiter(documents, [limit], AdmissionPolicy(deadline_ms=2000), SystemClock())


def _in_threads(works: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _counts(values: Sequence[int], failed: int) -> bool:
    """Whether the counts are 1, 2, 3 and so on; a commit without an answer may have taken one of them."""
    return len(set(values)) == len(values) and len(values) <= (values[-1] if values else 0) <= len(values) + failed


def _distribution(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "too few to tell"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    p50, p90, p99 = (1000 * cuts[percent - 1] for percent in (50, 90, 99))
    return f"p50 {p50:.1f} ms, p90 {p90:.1f}, p99 {p99:.1f}, longest {1000 * max(seconds):.1f}"
