"""What another policy would have said of the same prompts: counted, with confidence intervals.

Intervals are Wilson's (1927) score intervals at 95 %: sound for small counts, none of them included.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.guards.pipeline import Pipeline
from shared.guards.port import SEPARATOR, VERDICTS, Channel, Direction, Finding, Verdict

EXAMPLES = 5
"""Ids kept of each kind of change."""

_Z = 1.959964
"""The normal distribution's quantile for 95 %, two-sided."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of all prompts."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """From 0 to 1; 0 of nothing."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies, with 95 % confidence."""
        if not self.of:
            return 0.0, 1.0
        n, p, z = self.of, self.value, _Z
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Change:
    """Prompts whose verdict is another."""

    before: Verdict
    after: Verdict
    count: int = 0
    examples: list[str | int] = field(default_factory=list)
    """Ids of the first of them."""


class Backtest:
    """Compares two policies' guards, prompt by prompt.

    Args:
        before: The guards in force.
        after: The candidate's.
    """

    def __init__(self, before: Pipeline, after: Pipeline) -> None:
        self._pipelines = before, after
        self.prompts = 0
        self.verdicts: tuple[Counter[Verdict], Counter[Verdict]] = Counter(), Counter()
        """How often each verdict came of each policy."""

        self.kinds: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        """In how many prompts each policy found what the other did not, as ``guard/kind``."""

        self._changes: dict[tuple[Verdict, Verdict], Change] = {}

    def add(self, text: str, id_: str | int | None, direction: Direction = "input", channel: Channel = "user") -> None:
        """Compare what both say of a text; of a recorded prompt, part by part."""
        self.prompts += 1
        parts = text.split(SEPARATOR)
        before, after = (_judge(pipeline, parts, direction, channel) for pipeline in self._pipelines)
        for verdict, counts in zip((before.verdict, after.verdict), self.verdicts, strict=True):
            counts[verdict] += 1
        self.kinds[0].update(before.kinds - after.kinds)
        self.kinds[1].update(after.kinds - before.kinds)
        if before.verdict == after.verdict:
            return
        change = self._changes.setdefault((before.verdict, after.verdict), Change(before.verdict, after.verdict))
        change.count += 1
        if id_ is not None and len(change.examples) < EXAMPLES:
            change.examples.append(id_)

    @property
    def changes(self) -> list[Change]:
        """What would change, the most frequent first."""
        return sorted(self._changes.values(), key=lambda change: -change.count)

    def share(self, count: int) -> Share:
        """So many of all prompts."""
        return Share(count, self.prompts)


@dataclass(frozen=True, slots=True)
class _Judged:
    verdict: Verdict
    kinds: frozenset[str]


def _judge(pipeline: Pipeline, parts: Iterable[str], direction: Direction, channel: Channel) -> _Judged:
    verdict: Verdict = "allow"
    found: list[Finding] = []
    for part in parts:
        inspection = pipeline.inspect_text(part, direction, channel)
        verdict = max(verdict, inspection.verdict, key=VERDICTS.index)
        found += inspection.findings
    return _Judged(verdict, frozenset(f"{finding.guard}/{finding.kind}" for finding in found))
