"""Several ways of asking for the same, taken in turns, so that the machine's drift hits all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from statistics import median, quantiles

from tests.benchmarks.client import Call, Connection

WARM_UP = 20
"""Requests that are not counted: they open connections, read keys and fill caches."""


def alternate(calls: Mapping[str, Call], rounds: int, *, first_byte: bool = False) -> dict[str, list[float]]:
    """One request at a time, A B A B, each way over its own kept-alive connection.

    Returns:
        Seconds to the whole answer, or to the first byte of its body, by the way's name.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with ExitStack() as stack:
        connections = {name: stack.enter_context(closing(Connection(call))) for name, call in calls.items()}
        for number in range(WARM_UP + rounds):
            for name, connection in connections.items():
                timing = connection.exchange()
                if number >= WARM_UP:
                    taken[name].append(timing.first_byte if first_byte else timing.whole)
    return taken


def in_turns(calls: Mapping[str, Call], rounds: int, measure: Callable[[Call], float]) -> dict[str, float]:
    """Measure each way, A B A B; the median by the way's name."""
    measured: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            measured[name].append(measure(call))
    return {name: median(figures) for name, figures in measured.items()}


def milliseconds(seconds: Sequence[float], percent: int) -> float:
    """A percentile of durations."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1000
