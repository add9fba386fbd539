"""Google's Model Armor as a guard: prompts and answers leave for Google's filters, within a stated time.

It cannot say where in a text it found something, so its findings span what was sent: a piece of at most
``chunk_characters``. Pieces of long texts overlap, and several short texts go together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from shared.errors import StoreUnavailable
from shared.guards.owasp import (
    INSECURE_OUTPUT_HANDLING,
    PROMPT_INJECTION,
    SENSITIVE_INFORMATION_DISCLOSURE,
)
from shared.guards.parts import Part
from shared.guards.port import Direction, Finding, Reach
from shared.guards.reviewer import Reviewer
from shared.policy.types import ModelArmorRule
from shared.text.canonical import Text

_OWASP = {
    "pi_and_jailbreak": PROMPT_INJECTION,
    "malicious_uris": INSECURE_OUTPUT_HANDLING,
    "sdp": SENSITIVE_INFORMATION_DISCLOSURE,
}
_SCORES = {"HIGH": 0.95, "MEDIUM_AND_ABOVE": 0.8, "LOW_AND_ABOVE": 0.6}
_UNGRADED = 0.9

_AT_ONCE = 8
"""Requests side by side, so that a long prompt takes little longer than a short one."""

_OVERLAP = 8
"""A piece begins an eighth of its length before the end of the one before."""


class Screener(Protocol):
    """What this needs of ``shared.models.model_armor.ModelArmor``."""

    def screen_prompt(self, text: str, deadline: float) -> Any: ...

    def screen_answer(self, text: str, deadline: float) -> Any: ...


class _Piece(NamedTuple):
    """What goes out in one request."""

    text: str
    part: int
    """Of the text it is from, or of the first of them."""

    span: tuple[int, int]
    """Where it lies in that text; where several go together, all of the first."""


class ModelArmorGuard(Reviewer):
    """See the module. Safe under threads.

    Args:
        rule: The policy's.
        screener: Asks Google.
    """

    name = "model_armor"
    directions = frozenset({"input", "output"})
    reach = Reach(None)

    def __init__(self, rule: ModelArmorRule, screener: Screener) -> None:
        self._rule = rule
        self._screener = screener

    def review(self, parts: Sequence[Part], texts: Sequence[Text], direction: Direction) -> list[tuple[int, Finding]]:
        """See ``Reviewer``.

        Raises:
            StoreUnavailable: It could not be asked in time, or not all of its filters ran and none found anything.
        """
        pieces = list(_pieces([text.canonical.text for text in texts], self._rule.chunk_characters))
        if not pieces:
            return []
        deadline = time.monotonic() + self._rule.deadline_ms / 1000
        screen = self._screener.screen_prompt if direction == "input" else self._screener.screen_answer
        if len(pieces) == 1:
            screenings = [screen(pieces[0].text, deadline)]
        else:
            with ThreadPoolExecutor(min(_AT_ONCE, len(pieces))) as pool:
                screenings = list(pool.map(lambda piece: screen(piece.text, deadline), pieces))
        found = [
            (piece.part, self._finding(match.filter, match.confidence, texts[piece.part].canonical.span(*piece.span)))
            for piece, screening in zip(pieces, screenings, strict=True)
            for match in screening.matches
        ]
        if not found and not all(screening.whole for screening in screenings):
            raise StoreUnavailable("Not all of Model Armor's filters ran.")
        return found

    def _finding(self, filter_: str, confidence: str | None, span: tuple[int, int]) -> Finding:
        score = _UNGRADED if confidence is None else _SCORES[confidence]
        owasp = _OWASP.get(filter_, INSECURE_OUTPUT_HANDLING)
        return Finding(self.name, filter_, owasp, span, score, self._rule.action, self._rule.mode == "enforce")


def model_armor_guard(rule: ModelArmorRule) -> ModelArmorGuard:
    """The guard of a policy; what talks to Google is imported only where a policy asks for it.

    Raises:
        ValueError: The policy names no template.
    """
    from shared.models.model_armor import ModelArmor

    return ModelArmorGuard(rule, ModelArmor(rule.template or "", base_url=rule.base_url))


def _pieces(texts: Sequence[str], most: int) -> Iterator[_Piece]:
    """The texts in pieces of at most ``most`` characters: short ones together, long ones cut, with an overlap."""
    together: list[str] = []
    first = length = 0
    for index, text in enumerate(texts):
        if not text.strip():
            continue
        if together and length + 1 + len(text) > most:
            yield _Piece("\n".join(together), first, (0, len(texts[first])))
            together, length = [], 0
        if len(text) > most:
            step = most - most // _OVERLAP
            for start in range(0, len(text) - most // _OVERLAP, step):
                end = min(start + most, len(text))
                yield _Piece(text[start:end], index, (start, end))
            continue
        if not together:
            first = index
        together.append(text)
        length += len(text) + 1
    if together:
        yield _Piece("\n".join(together), first, (0, len(texts[first])))
