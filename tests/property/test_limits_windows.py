"""The windows behind the library ``limits``: several processes on one store, under a clock that only the test turns."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from shared.admission.limits_moving import shortened
from shared.admission.limits_steps import PAGE_DOCUMENTS, Get, Page, Steps
from shared.admission.limits_windows import Windows
from shared.errors import PreconditionFailed
from shared.stores.sqlite_documents import SqliteDocuments

START = 1_700_000_000_000_000
PERIOD = 10
LIMIT = 5


class Clock:
    """Microseconds since the Unix epoch, by hand."""

    def __init__(self) -> None:
        self.now = START

    def time_ns(self) -> int:
        return self.now * 1000


class Instance:
    """A process of its own: it shares the store with others, and nothing in memory."""

    def __init__(self, store: SqliteDocuments, clock: Clock, memory_seconds: float) -> None:
        self.windows = Windows("limits", memory_seconds=memory_seconds, clock=clock)
        self.store = store

    def run(self, steps: Steps[Any]) -> Any:
        try:
            step = next(steps)
            while True:
                try:
                    answer = self.ask(step)
                except PreconditionFailed as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    def ask(self, step: Any) -> Any:
        if isinstance(step, Get):
            return self.store.get(step.path)
        if isinstance(step, Page):
            return list(self.store.list(step.collection, after=step.after, limit=PAGE_DOCUMENTS))
        return self.store.commit(step)


# Steps in fifths of a second, some of them longer than a window or two.
hits = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12) | st.sampled_from([50, 120]), st.integers(1, 3)), max_size=40
)


def instances(folder: str, clock: Clock, memory_seconds: float) -> list[Instance]:
    store = SqliteDocuments(Path(folder) / "documents.db", clock=clock)
    return [Instance(store, clock, memory_seconds) for _ in range(3)]


@settings(max_examples=40)
@given(schedule=hits, memory_seconds=st.sampled_from([0.0, 1.0, 30.0]))
def test_a_moving_window_is_exact(schedule: list[tuple[int, int, int]], memory_seconds: float) -> None:
    """Admitted if, and only if, there is room in the last ten seconds; so in no window is there more than the limit."""
    clock = Clock()
    admitted: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        running = instances(folder, clock, memory_seconds)
        for who, fifths, amount in schedule:
            clock.now += fifths * 200_000
            used = sum(count for at, count in admitted if at >= clock.now - PERIOD * 1_000_000)
            answer = running[who].run(running[who].windows.moving.hit("k", LIMIT, PERIOD, amount))
            assert answer is (used + amount <= LIMIT)
            if answer:
                admitted.append((clock.now, amount))
        running[0].store.close()


@settings(max_examples=40)
@given(schedule=hits, cleared=st.integers(0, 60))
def test_a_fixed_window_counts_every_hit_from_its_first(schedule: list[tuple[int, int, int]], cleared: int) -> None:
    clock = Clock()
    end, count = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        running = instances(folder, clock, 30.0)
        for number, (who, fifths, amount) in enumerate(schedule):
            clock.now += fifths * 200_000
            windows = running[who].windows
            if number == cleared:
                running[who].run(windows.clear("k"))
                end = 0
            if clock.now >= end:
                end, count = clock.now + PERIOD * 1_000_000, 0
            count += amount
            assert running[who].run(windows.fixed.hit("k", PERIOD, amount)) == count
            assert running[who].run(windows.fixed.count("k")) == count
            assert running[who].run(windows.fixed.end("k")) == end / 1e6
        running[0].store.close()


@settings(max_examples=40)
@given(schedule=hits)
def test_a_sliding_window_counter_admits_by_weight(schedule: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    counts: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        running = instances(folder, clock, 30.0)
        for who, fifths, amount in schedule:
            clock.now += fifths * 200_000
            index, into = divmod(clock.now, PERIOD * 1_000_000)
            previous, current = counts.get(index - 1, 0), counts.get(index, 0)
            weighted = int(previous * (1 - into / (PERIOD * 1_000_000)) + current)
            answer = running[who].run(running[who].windows.sliding.hit("k", LIMIT, PERIOD, amount))
            assert answer is (weighted + amount <= LIMIT)
            counts[index] = current + amount * answer
            fresh = Instance(running[0].store, clock, 0.0)
            state = fresh.run(fresh.windows.sliding.see("k", PERIOD))
            assert (state.previous, state.current) == (previous, counts[index])
        running[0].store.close()


def test_documents_stay_small_however_long_a_key_lives() -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        (one, *_) = instances(folder, clock, 0.0)
        for number in range(400):
            clock.now += (number % 7 + 1) * PERIOD * 1_000_000
            for hit in (one.windows.moving.hit("k", LIMIT, PERIOD, 1), one.windows.sliding.hit("k", LIMIT, PERIOD, 1)):
                assert one.run(hit)
            one.run(one.windows.fixed.hit("k", PERIOD, 1))
            for document in one.store.list("limits"):
                assert len(document.fields) <= 363
        one.store.close()


@given(gaps=st.lists(st.integers(0, 5), min_size=1, max_size=60), most=st.integers(1, 40))
def test_a_long_log_is_coarsened_to_the_stricter_side(gaps: list[int], most: int) -> None:
    log = [(sum(gaps[: number + 1]), number % 3 + 1) for number in range(len(gaps))]
    short = shortened(log, most)
    assert len(short) <= max(most, (len(log) + 1) // 2)
    assert [at for at, _ in short] == sorted(at for at, _ in short)
    for since in range(log[-1][0] + 2):
        counted, exact = (sum(amount for at, amount in entries if at >= since) for entries in (short, log))
        assert counted >= exact
    assert sum(amount for _, amount in short) == sum(amount for _, amount in log)
