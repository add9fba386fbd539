"""Texts that stand in several sources: whoever learnt from one has seen what it is then measured on.

Public collections quote each other. A text is a repeat of another where both hold the same eight words in a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set

from shared.guards.linear import WORD
from shared.text.canonical import canonicalise
from tests.evaluation.data import Row, Source

RUN = 8
"""Words in a row."""


class Repeats:
    """Which sources hold which runs of words."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources: defaultdict[int, set[str]] = defaultdict(set)
        for source in sources:
            for row in source.rows:
                for run in _runs(row.text):
                    self._sources[run].add(source.name)

    def elsewhere(self, row: Row, among: Set[str]) -> bool:
        """Whether one of the sources ``among`` holds eight words in a row of ``row``."""
        return any(not among.isdisjoint(self._sources[run]) for run in _runs(row.text) if run in self._sources)


def _runs(text: str) -> Iterator[int]:
    words = [word.lower() for word in WORD.findall(canonicalise(text).canonical.text) if word[0].isalnum()]
    for start in range(len(words) - RUN + 1):
        yield hash(tuple(words[start : start + RUN]))
