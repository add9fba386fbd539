"""Sentences drawn from ``grammar.txt``: attacks and harmless texts of our own, always the same for one seed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.evaluation.data import Group

GRAMMAR = Path(__file__).with_name("grammar.txt")
KINDS: tuple[tuple[str, Group, Literal[0, 1]], ...] = (
    ("attack_user", "attack", 1),
    ("attack_data", "planted", 1),
    ("benign_user", "user", 0),
    ("benign_data", "document", 0),
)
"""The rules that whole texts are drawn from, what these are, and their label."""

_INNERMOST = re.compile(r"\{([^{}|]*(?:\|[^{}|]*)+)\}")
"""A choice without a choice in it. Braces without a bar are text."""

_RULE = re.compile(r"<([a-z_]+)>")


class Grammar:
    """Rules and their alternatives.

    Raises:
        ValueError: A line that belongs to no rule.
    """

    def __init__(self, source: str) -> None:
        self._rules: dict[str, list[str]] = {}
        name = ""
        for line in source.splitlines():
            if not line.strip() or (not name and line.startswith("#")):
                continue
            if re.fullmatch(r"[a-z_]+:", line):
                name = line[:-1]
                self._rules[name] = []
            elif not name:
                raise ValueError(f"{line!r} stands before the first rule")
            else:
                self._rules[name].append(line)

    def draw(self, rule: str, count: int, seed: int) -> Iterator[str]:
        """``count`` different texts of one of the rules; fewer where ten tries for each are not enough."""
        chance = random.Random(f"{rule} {seed}")
        seen: set[str] = set()
        for _ in range(10 * count):
            text = self._expand(rule, chance).replace("\\n", "\n").strip()
            if text not in seen:
                seen.add(text)
                yield text
                if len(seen) == count:
                    return

    def _expand(self, rule: str, chance: random.Random) -> str:
        text = chance.choice(self._rules[rule])
        while True:
            chosen = _INNERMOST.sub(lambda match: chance.choice(match[1].split("|")), text)
            filled = _RULE.sub(
                lambda match: self._expand(match[1], chance) if match[1] in self._rules else match[0], chosen
            )
            if filled == text:
                return text
            text = filled
