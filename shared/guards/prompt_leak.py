"""Prompt leak (LLM06, LLM07:2025): an answer that repeats the policy's own system prompt.

What is compared are words, without regard to case, punctuation and markup: a run of words counts as far as
every three in a row stand so in the prompt. A run that is long enough is a leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from shared.guards.owasp import SYSTEM_PROMPT_LEAKAGE
from shared.guards.port import Background, Bindable, Context, Finding, Guard, growing
from shared.later import Later
from shared.policy.types import PromptLeakRule
from shared.text.canonical import Text

_SYLLABIC = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts that are written without blanks, in which each character counts as a word."""

_MOST_WORD = 48
_MOST_GAP = 16
"""Characters of a word, and between two words, beyond which a run ends."""


class _Word(Struct, frozen=True):
    """A word of an answer, as it is compared, and where it stands."""

    text: str
    start: int
    end: int


@Later
def _word() -> re.Pattern[str]:
    return re.compile(rf"[{_SYLLABIC}]|[^\W_{_SYLLABIC}]+")


def _words(text: str) -> list[_Word]:
    return [_Word(match[0].casefold(), *match.span()) for match in _word().finditer(text)]


class PromptLeakGuard(Bindable):
    """Looks for the policy's system prompt; what is compared of it is read once for each prompt."""

    name = "prompt_leak"
    directions = frozenset({"output"})

    def __init__(self, policy: PromptLeakRule) -> None:
        self._policy = policy
        self._guards: dict[str, _Known] = {}

    def for_answer(self, background: Background) -> Guard | None:
        """A guard that knows the prompt; None where there is none."""
        prompt = background.system_prompt
        if not prompt:
            return None
        known = self._guards.get(prompt)
        if known is None:  # the policy has few prompts, so this does not grow
            known = self._guards[prompt] = _Known(prompt, self._policy)
        return known


class _Known:
    """Looks for one prompt."""

    name = PromptLeakGuard.name
    directions = PromptLeakGuard.directions

    def __init__(self, prompt: str, policy: PromptLeakRule) -> None:
        words = [word.text for word in _words(prompt)]
        self._single = frozenset(words)
        self._pairs = frozenset(pairwise(words))
        self._triples = frozenset(zip(words, words[1:], words[2:], strict=False))
        self._policy = policy
        self.reach = growing(self._undecided, context=0, most=policy.words * (_MOST_WORD + _MOST_GAP))

    def clears(self, joined: str) -> bool:
        """Never: only the words tell."""
        return False

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A finding for every run that is long enough."""
        return [
            Finding(
                self.name,
                "system_prompt",
                SYSTEM_PROMPT_LEAKAGE,
                view.span(run[0].start, run[-1].end),
                0.9,
                self._policy.action,
                self._policy.mode == "enforce",
            )
            for view in text.views
            for run in self._runs(_words(view.text))
            if len(run) >= self._policy.words
        ]

    def _runs(self, words: Sequence[_Word]) -> Iterator[Sequence[_Word]]:
        """Words in a row of which every three stand so in the prompt."""
        first = None
        for index in range(len(words) - 2):
            if self._stands(words[index : index + 3]):
                first = index if first is None else first
            elif first is not None:
                yield words[first : index + 1 + 1]
                first = None
        if first is not None:
            yield words[first:]

    def _stands(self, words: Sequence[_Word]) -> bool:
        """Whether one, two or three words stand so in the prompt, close to each other."""
        if any(after.start - before.end > _MOST_GAP for before, after in pairwise(words)):
            return False
        texts = tuple(word.text for word in words)
        return texts in (self._triples, self._pairs)[3 - len(texts)] if len(texts) > 1 else texts[0] in self._single

    def _undecided(self, text: str) -> int:
        """Where the words at the end begin that may become a leak; the very last one may still grow."""
        floor = max(len(text) - self.reach.most, 0)
        words = _words(text[floor:])
        last = words.pop() if words and words[-1].end == len(text) - floor else None
        at = len(text) - floor if last is None else last.start
        if last is not None and words and last.start - words[-1].end > _MOST_GAP:
            return floor + at
        for size in (1, 2):
            if len(words) >= size and self._stands(words[-size:]):
                at = words[-size].start
        index = len(words) - 3
        while index >= 0 and self._stands(words[index : index + 3]):
            at = words[index].start
            index -= 1
        return floor + at
