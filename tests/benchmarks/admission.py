"""``make bench-admission``: what the limits cost on Firestore's emulator, as ratios to one bare commit of the same run.

RPC, reads and writes are counted where they leave, not estimated. The emulator commits in memory, so a ratio
says what admission adds to a commit; how long a commit takes at Google, and how contention feels there, it
does not say (`make smoke` does).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.admission.limiter import Limiter
from shared.admission.port import LimitExceeded, Usage
from shared.clock import SystemClock
from shared.identity.caller import Caller
from shared.policy.types import AdmissionPolicy, RateLimit
from shared.stores.connect import connect_documents
from shared.stores.documents import CommitResult, Delete, Document, DocumentStore, Write
from tests.benchmarks.report import Row, Target, table
from tests.support.emulators import firestore_emulator

USD_PER_WRITE = 0.18 / 100_000
USD_PER_READ = 0.06 / 100_000
"""List prices of the multi-region nam5, the dearest; a single region costs about half."""

_ENOUGH = 1_000_000_000
_POLICY = AdmissionPolicy(deadline_ms=2000)
ONE = [RateLimit(name="requests", amount=_ENOUGH, window_seconds=60)]
SIX = [
    RateLimit(name=f"{per}-{kind}-{number}", kind=kind, amount=_ENOUGH, window_seconds=60, per=per)
    for per in ("key", "user")
    for number, kind in enumerate(("requests", "tokens", "tokens"))
]
TOKENS = [RateLimit(name="tokens", kind="tokens", amount=_ENOUGH, window_seconds=60)]
FEW = [RateLimit(name="few", amount=1, window_seconds=3600)]
USAGE = Usage(1, 100, 100)


class Counted:
    """A document store that counts what is asked of it."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._lock = threading.Lock()
        self.rpc = self.reads = self.writes = 0

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        with self._lock:
            self.rpc += 1
            self.writes += len(writes)
        return self._documents.commit(writes)

    def get(self, path: str) -> Document | None:
        with self._lock:
            self.rpc += 1
            self.reads += 1
        return self._documents.get(path)

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        return self._documents.list(collection, after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of doing it."""

    milliseconds: float
    """Median of one request."""

    rpc: float
    reads: float
    writes: float
    """Of one request."""

    per_second: float

    @property
    def usd_per_million(self) -> float:
        """What Firestore charges for a million requests."""
        return 1e6 * (self.reads * USD_PER_READ + self.writes * USD_PER_WRITE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Exit code 0, also where a target is not met: a figure is no test."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.admission", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    parser.add_argument("--requests", type=int, default=400, help="per row (default: %(default)s)")
    options = parser.parse_args(arguments)
    with firestore_emulator() as address:
        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        store = Counted(connect_documents(f"firestore://bench-{uuid.uuid4().hex[:8]}", timeout_seconds=5.0))
        rows, measured = measure(store, options.requests)
    if options.json:
        costs = {
            name: {
                "milliseconds": each.milliseconds,
                "rpc": each.rpc,
                "reads": each.reads,
                "writes": each.writes,
                "usd_per_million": each.usd_per_million,
            }
            for name, each in measured.items()
        }
        print(json.dumps({"rows": [row.as_json() for row in rows], "costs": costs}, indent=2))
        return 0
    print(table(rows))
    print(f"\n{'':34}  RPC      reads    writes   USD per million requests")
    for name, each in measured.items():
        print(f"{name:34}  {each.rpc:<7.3f}  {each.reads:<7.3f}  {each.writes:<7.3f}  {each.usd_per_million:.2f}")
    return 0


def measure(store: Counted, count: int) -> tuple[list[Row], dict[str, Measured]]:
    """Every row, and what each way costs. The sequential ways take turns, so that the machine's moods hit all."""
    caller = Caller("acme", "key", "api_key", frozenset(), user="ann")
    one, six, tokens = (Limiter(store, limits, _POLICY, SystemClock()) for limits in (ONE, SIX, TOKENS))
    few, naive = Limiter(store, FEW, _POLICY, SystemClock()), _Naive(store)
    ways: dict[str, Callable[[], object]] = {
        "bare commit": lambda: store.commit([Write("bench/bare", increments={"n": 1})]),
        "reserve, 1 limit": lambda: one.reserve(caller, "m", USAGE),
        "reserve, 6 limits on 2 documents": lambda: six.reserve(caller, "m", USAGE),
        "reserve and settle": lambda: tokens.settle(tokens.reserve(caller, "m", USAGE), Usage(1, 90, 10)),
        "naive read, then write": naive.blind,
        "naive read, then write if unchanged": naive.guarded,
    }
    measured = _take_turns(store, ways, count)
    bare = measured["bare commit"]
    few.reserve(caller, "m", USAGE)
    measured["denied again"] = _denied(store, few, caller)
    hot_name = "hot key, 32 threads"
    hot = measured[hot_name] = _together(store, lambda: one.reserve(caller, "m", USAGE), count)
    bare_hot = measured["bare commits, 32 threads"] = _together(store, ways["bare commit"], count)
    memory = _memory(count)

    def row(name: str, bound: float) -> Row:
        value = measured[name].milliseconds
        return Row(name, "ms", value, "bare commit", bare.milliseconds, target=Target("ratio", bound))

    denied = measured["denied again"].milliseconds * 1000
    rows = [
        row("reserve, 1 limit", 1.3),
        row("reserve, 6 limits on 2 documents", 2.0),
        row("reserve and settle", 3.5),
        Row("denied again", "µs", denied, "limits, in memory", memory, target=Target("value", 10)),
        Row(hot_name, "/s", hot.per_second, "bare, 1 thread", bare.per_second, target=Target("ratio", 5, True)),
        Row(hot_name, "/s", hot.per_second, "bare, 32 threads", bare_hot.per_second),
        Row("RPC of a request on a hot key", "", hot.rpc, "reserve alone", 1.0, target=Target("value", 0.1)),
        *(
            Row(name, "ms", measured[name].milliseconds, "bare commit", bare.milliseconds)
            for name in ("naive read, then write", "naive read, then write if unchanged")
        ),
    ]  # fmt: skip
    return rows, measured


class _Naive:
    """What is usually done: read a list of times, look at it, write it back."""

    def __init__(self, store: Counted) -> None:
        self._store = store

    def blind(self) -> None:
        self._write("bench/naive", guarded=False)

    def guarded(self) -> None:
        self._write("bench/guarded", guarded=True)

    def _write(self, path: str, *, guarded: bool) -> None:
        document = self._store.get(path)
        times = list(document.fields["times"])[-50:] if document else []
        fields = {"times": [*times, time.time()]}
        unchanged = document.updated_at if document and guarded else None
        self._store.commit([Write(path, fields=fields, updated_at=unchanged)])


def _take_turns(store: Counted, ways: dict[str, Callable[[], object]], count: int) -> dict[str, Measured]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[int]] = {name: [0, 0, 0] for name in ways}
    for turn in range(count + 30):
        for name, way in ways.items():
            before = store.rpc, store.reads, store.writes
            started = time.perf_counter()
            way()
            if turn >= 30:  # the first ones warm the emulator's compiler up
                times[name].append(time.perf_counter() - started)
                after = store.rpc, store.reads, store.writes
                spent[name] = [sum_ + b - a for sum_, a, b in zip(spent[name], before, after, strict=True)]
    return {
        name: Measured(
            1000 * statistics.median(times[name]), *(each / count for each in spent[name]), count / sum(times[name])
        )
        for name in ways
    }


def _denied(store: Counted, limiter: Limiter, caller: Caller) -> Measured:
    """Denials after the first, within the second that a process repeats one by itself."""
    _deny(limiter, caller)
    rpc, times = store.rpc, []
    for _ in range(2000):
        started = time.perf_counter()
        _deny(limiter, caller)
        times.append(time.perf_counter() - started)
    return Measured(1000 * statistics.median(times), (store.rpc - rpc) / 2000, 0, 0, 2000 / sum(times))


def _deny(limiter: Limiter, caller: Caller) -> None:
    try:
        limiter.reserve(caller, "m", USAGE)
    except LimitExceeded:
        return
    raise RuntimeError("This request should have been denied.")


def _together(store: Counted, way: Callable[[], object], count: int) -> Measured:
    """Thirty-two threads at once."""
    threads = 32
    each = max(20, count // 4)
    start = threading.Barrier(threads + 1)

    def work() -> None:
        start.wait()
        for _ in range(each):
            way()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    rpc, reads, writes = store.rpc, store.reads, store.writes
    start.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds, total = time.perf_counter() - started, threads * each
    return Measured(
        1000 * seconds * threads / total,
        (store.rpc - rpc) / total,
        (store.reads - reads) / total,
        (store.writes - writes) / total,
        total / seconds,
    )


def _memory(count: int) -> float:
    """Microseconds of one hit of the package ``limits`` with its storage in memory, which counts for one process."""
    from limits import parse
    from limits.storage import MemoryStorage
    from limits.strategies import MovingWindowRateLimiter

    strategy, item = MovingWindowRateLimiter(MemoryStorage()), parse("1000000000/minute")
    times = []
    for _ in range(count):
        started = time.perf_counter()
        strategy.hit(item, "key")
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
