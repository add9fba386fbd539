"""Which thresholds a subject's counters have crossed: pure functions.

A counter that reaches a multiple of its threshold crosses a level. Since each event knows what it added,
exactly one event crosses each level, however many are counted side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.alerts.observation import BLOCKS, DENIALS, KILLED, OUTPUT, PROMPTS, TOKENS, is_length_counter
from shared.policy.types import Alerts, LadderSignal, Signal

SignalName = Literal["blocks", "denials", "spend", "templates", "output", "quarantined"]
Step = Literal["flag", "throttle", "quarantine"]
LADDER: Sequence[Step] = ("flag", "throttle", "quarantine")

MIN_HISTORY = 3
"""Active windows before a mean says anything."""

_MOST_LEVELS = 16
"""Levels told at once, of an event that counts for many or comes again late."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A level that was crossed."""

    signal: SignalName
    level: int
    """How many times the threshold."""

    value: int
    threshold: int
    step: Step
    """What is to be done."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A subject's counters after an event."""

    values: Mapping[str, int]
    adds: Mapping[str, int]
    """What the event added to them; where it came again, all there is, since nobody knows what it crossed."""


def crossings(counted: Counted, policy: Alerts, history: Callable[[], Sequence[int]]) -> Iterator[Crossing]:
    """What the event crossed.

    Args:
        counted: The counters of the event's window.
        policy: The thresholds.
        history: Reads the tokens of the windows before; called only where they matter.
    """
    yield from _crossed("blocks", policy.blocks, counted, BLOCKS, policy.blocks.amount)
    yield from _crossed("denials", policy.denials, counted, DENIALS, policy.denials.amount)
    yield from _crossed("quarantined", policy.quarantined, counted, KILLED, policy.quarantined.amount)
    yield from _crossed("output", policy.output, counted, OUTPUT, policy.output.amount)
    for counter in filter(is_length_counter, counted.adds):
        if 2 * counted.values[counter] >= counted.values[PROMPTS]:
            yield from _crossed("templates", policy.templates, counted, counter, policy.templates.amount)
    yield from _spend(counted, policy, history)


def _spend(counted: Counted, policy: Alerts, history: Callable[[], Sequence[int]]) -> Iterator[Crossing]:
    """Crossings of the subject's own mean, as a multiple of the floor: so the history is read once a floor."""
    floor = policy.spend.amount
    if policy.spend.mode == "off" or not _levels(counted, TOKENS, floor):
        return
    active = [tokens for tokens in history() if tokens]
    if len(active) >= MIN_HISTORY:
        usual = policy.spend.factor * sum(active) // len(active)
        threshold = floor * max(1, -(-usual // floor))
        yield from _crossed("spend", policy.spend, counted, TOKENS, threshold)


def _crossed(name: SignalName, signal: Signal, counted: Counted, counter: str, threshold: int) -> Iterator[Crossing]:
    """The first level flags; each further one climbs a step as far as the policy allows, and stays there.

    Where it allows no step, further levels are the first one once more: what is suspicious only under a
    condition may not have met it then. An alert that was raised is not raised again.
    """
    if signal.mode == "off":
        return
    highest = LADDER.index(signal.action) if isinstance(signal, LadderSignal) else 0
    levels = _levels(counted, counter, threshold)
    for level in levels if highest else [1][: len(levels)]:
        yield Crossing(name, level, counted.values[counter], threshold, LADDER[min(level - 1, highest)])


def _levels(counted: Counted, counter: str, threshold: int) -> Sequence[int]:
    """The levels that the event crossed: of many the first, which flags, and the last ones."""
    if counter not in counted.adds:
        return ()
    value = counted.values[counter]
    levels = range((value - counted.adds[counter]) // threshold + 1, value // threshold + 1)
    return levels if len(levels) <= _MOST_LEVELS else (levels[0], *levels[1 - _MOST_LEVELS :])
