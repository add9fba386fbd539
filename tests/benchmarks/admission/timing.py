"""How long ways take, and what they spend meanwhile."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks.admission.counting import Spent, Till
from tests.benchmarks.admission.prices import usd_per_million
from tests.benchmarks.admission.ways import Way

WARM_UP = 40
"""Turns that are not counted, at most: the emulator's compiler warms up."""

SAME_DOCUMENTS = 100
"""Turns after which every way goes on with documents that are new."""

_DENIALS = 2000
THREADS = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """One way, per request."""

    milliseconds: float
    """Median."""
    per_second: float
    rpc: float
    reads: float
    writes: float

    @property
    def usd_per_million(self) -> float:
        """What Firestore charges for a million requests."""
        return usd_per_million(self.reads, self.writes)


def in_turns(fresh: Callable[[int], Mapping[str, Way]], till: Till, count: int) -> dict[str, Measured]:
    """Each way once, then each again, so that the machine's moods hit all alike.

    In another order each turn: a way that leaves much behind would slow down the same one every time. And now and then
    on other documents: the emulator keeps every version of one, and takes the longer the more there are.
    """
    shuffle = random.Random(0).shuffle
    times: defaultdict[str, list[float]] = defaultdict(list)
    spent: defaultdict[str, Spent] = defaultdict(Spent)
    for first in range(0, count, SAME_DOCUMENTS):
        order = list(fresh(first // SAME_DOCUMENTS).items())
        warm_up = min(WARM_UP, count) if first == 0 else 0
        for turn in range(warm_up + min(SAME_DOCUMENTS, count - first)):
            shuffle(order)
            for name, way in order:
                before = till.spent
                started = time.perf_counter()
                way()
                if turn >= warm_up:
                    times[name].append(time.perf_counter() - started)
                    spent[name] += till.spent - before
    return {name: _measured(statistics.median(each), sum(each), spent[name], count) for name, each in times.items()}


def one_after_the_other(way: Way, till: Till) -> Measured:
    """A way that takes microseconds, again and again."""
    way()
    before, times = till.spent, []
    for _ in range(_DENIALS):
        started = time.perf_counter()
        way()
        times.append(time.perf_counter() - started)
    return _measured(statistics.median(times), sum(times), till.spent - before, _DENIALS)


def together(way: Way, till: Till, count: int) -> Measured:
    """Thirty-two threads at once."""
    each = max(5, count // 4)
    start = threading.Barrier(THREADS + 1)

    def work() -> None:
        start.wait()
        for _ in range(each):
            way()

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    before = till.spent
    start.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds, total = time.perf_counter() - started, THREADS * each
    return _measured(seconds * THREADS / total, seconds, till.spent - before, total)


def _measured(median: float, seconds: float, spent: Spent, count: int) -> Measured:
    return Measured(1000 * median, count / seconds, spent.rpc / count, spent.reads / count, spent.writes / count)
