"""Rules over text as data, matched on RE2 in linear time.

One ``re2.Set`` decides in a single pass which rules match; only those are then run one by one for
their spans. ``Set.Match`` answers None both for "no match" and for its own failure, so every text is
given to it with a planted character that one rule always matches: an answer without it is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct

from shared.guards.port import Action, Context, Finding, bounded
from shared.later import Later
from shared.text.canonical import Text

_PLANTED = b"\x1f"
"""A control character, so canonical text does not hold it, and no rule takes it for part of a word."""

_SET_MEMORY = 64 * 1024 * 1024
"""Budget in bytes for a set's automaton; RE2's default of 8 MiB is meant for one pattern."""

_MOST_SPANS = 100
"""Spans per rule and view that are worth finding where none of them is cut out of the text."""


class Rule(Struct, frozen=True):
    """One pattern, and what it means to match it."""

    id: str
    kind: str
    owasp: str
    pattern: str
    """In RE2's syntax, read without regard to case. Group 1, where there is one, is the finding's span.
    RE2's ``\\b``, ``\\w`` and ``\\s`` are ASCII. A bare ``$`` never matches, since the planted character
    follows the text; ``\\b`` and ``(?:$|[^a-z])`` do."""

    width: int
    """The most characters that a match can have."""

    score: float
    """Confidence from 0 to 1."""

    matches: tuple[str, ...] = ()
    """Texts that the rule must match; read by its tests only."""

    passes: tuple[str, ...] = ()
    """Texts that the rule must not match; read by its tests only."""


def literal(text: str) -> str:
    """A pattern for this very text."""
    pattern: str = re2.escape(text)
    return pattern


class Match(Struct, frozen=True):
    """Where a rule matched, in characters."""

    rule: Rule
    start: int
    end: int


class Planted:
    """A text as rule sets read it; several may share one."""

    def __init__(self, text: str) -> None:
        self.encoded = text.encode() + _PLANTED

    @cached_property
    def small(self) -> bytes:
        """With ASCII letters small; what stands where stays the same."""
        return self.encoded.lower()


_CLASS = re.compile(r"\\.", re.DOTALL)
_CAPITAL = re.compile("[A-Z]")


def tells_capitals(pattern: str) -> bool:
    """Whether ``pattern`` may tell capitals from small letters, or is written with some, classes as ``\\S`` aside."""
    return "(?-i" in pattern or _CAPITAL.search(_CLASS.sub("", pattern)) is not None


class RuleSet:
    """Rules compiled together.

    Bytewise patterns of which none tells capitals read the text in small letters: RE2 takes three times as long to read
    a pattern that it is to match without regard to case.

    Args:
        rules: Read without regard to case.
        bytewise: Read UTF-8 byte by byte, which makes the automaton a fraction as large. For patterns that name
            ASCII only: what they exclude, as ``[^ ]``, then stands for a part of a character, so matches are
            widened to whole ones.
        later: Read the patterns when a text first comes, and not now; see ``shipped``.

    Raises:
        ValueError: A pattern is not RE2, or the set does not find what was planted.
    """

    def __init__(self, rules: Sequence[Rule], *, bytewise: bool = False, later: bool = False) -> None:
        self.rules = tuple(rules)
        self.width = max((rule.width for rule in rules), default=0)
        self._patterns: dict[int, Any] = {}
        self._bytewise = bytewise
        self._planted = len(self.rules)
        if later:
            self._compiled: Callable[[], Any] = Later(self._compile)
        else:
            compiled = self._compile()
            self._compiled = lambda: compiled

    def _compile(self) -> Any:
        options = self._options()
        options.max_mem = _SET_MEMORY
        compiled = re2.Set.SearchSet(options)
        try:
            for rule in self.rules:
                compiled.Add(rule.pattern.encode())
        except re2.error as error:
            raise ValueError(f"a rule does not compile on RE2: {error}") from error
        compiled.Add(_PLANTED)
        try:
            compiled.Compile()
        except re2.error as error:
            raise ValueError(f"rules do not compile together on RE2: {error}") from error
        found = compiled.Match(_PLANTED)
        if not found or self._planted not in found:
            raise ValueError("the rule set does not find what was planted")
        return compiled

    @cached_property
    def _small(self) -> bool:
        """Whether it reads a text in small letters."""
        return self._bytewise and not any(tells_capitals(rule.pattern) for rule in self.rules)

    def matches_any(self, text: str) -> bool:
        """Whether any rule matches anywhere in ``text``."""
        return len(self._matching(text)) > 1

    def find(self, text: str, most: int | None = None) -> Iterator[Match]:
        """Every place where a rule matches, rule by rule; overlapping matches too, one for each start.

        So what is found at one place never depends on what was found before it, and a window over a
        text shows the same matches as the text. ``most`` stops each rule after so many.
        """
        yield from self.find_in(Planted(text), most)

    def find_in(self, text: Planted, most: int | None = None) -> Iterator[Match]:
        """``find`` in a text that several sets read."""
        for _, matches in self._by_rule(text, most):
            yield from matches

    def by_rule(self, text: str) -> Iterator[tuple[Rule, Iterator[Match]]]:
        """``find``, a rule at a time, so that one of which enough is known can be left for the next."""
        yield from self._by_rule(Planted(text), None)

    def _by_rule(self, text: Planted, most: int | None) -> Iterator[tuple[Rule, Iterator[Match]]]:
        matching = self._matching_in(text)
        if len(matching) > 1:
            encoded = self._read(text)[: -len(_PLANTED)]
            is_ascii = encoded.isascii()
            for index in sorted(matching):
                if index != self._planted:
                    yield self.rules[index], self._spans(index, encoded, is_ascii, most)

    def _matching(self, text: str) -> list[int]:
        return self._matching_in(Planted(text))

    def _matching_in(self, text: Planted) -> list[int]:
        matching: list[int] | None = self._compiled().Match(self._read(text))
        if matching is None or self._planted not in matching:
            raise ValueError("the rule set did not find what was planted")
        return matching

    def _read(self, text: Planted) -> bytes:
        return text.small if self._small else text.encoded

    def _options(self) -> re2.Options:
        options = re2.Options()
        if self._bytewise:
            options.encoding = re2.Options.Encoding.LATIN1
        options.case_sensitive = self._small
        options.log_errors = False
        return options

    def _pattern(self, index: int) -> Any:
        """One rule's own pattern, compiled when it first matches: to do so at start takes as long as the set."""
        pattern = self._patterns.get(index)
        if pattern is None:
            pattern = self._patterns[index] = re2.compile(self.rules[index].pattern.encode(), self._options())
        return pattern

    def _spans(self, index: int, encoded: bytes, is_ascii: bool, most: int | None) -> Iterator[Match]:
        """The matches of one rule; spans are counted in bytes while searching and told in characters."""
        rule, pattern = self.rules[index], self._pattern(index)
        group = 1 if pattern.groups else 0
        counted_bytes = counted_characters = position = found = 0
        while (match := pattern.search(encoded, position)) and (most is None or found < most):
            begins = match.start()
            start, end = match.span(group)
            if start < 0:
                start, end = match.span()
            if self._bytewise and not is_ascii:
                start, end = _character(encoded, start), _next_character(encoded, end - 1)
            if is_ascii:
                yield Match(rule, start, end)
            else:
                counted_characters += len(encoded[counted_bytes:start].decode())
                counted_bytes = start
                yield Match(rule, counted_characters, counted_characters + len(encoded[start:end].decode()))
            found += 1
            position = begins + 1 if is_ascii else _next_character(encoded, begins)


@cache
def shipped(rules: tuple[Rule, ...], *, bytewise: bool = False) -> RuleSet:
    """The set of rules that ship with Wardgate: one for all pipelines, and read and compiled when a text first comes.

    Not for a policy's own rules: whether those are RE2, and how large they get, a start must see.
    """
    return RuleSet(rules, bytewise=bytewise, later=True)


def _character(encoded: bytes, position: int) -> int:
    """Where the character at ``position`` begins in UTF-8."""
    while position > 0 and encoded[position] & 0xC0 == 0x80:
        position -= 1
    return position


def _next_character(encoded: bytes, position: int) -> int:
    """Where the character after the one at ``position`` begins in UTF-8."""
    position += 1
    while position < len(encoded) and encoded[position] & 0xC0 == 0x80:
        position += 1
    return position


class PatternGuard:
    """A guard that finds what its rules match, in every view of a text."""

    def __init__(
        self, name: str, rules: Sequence[Rule], directions: frozenset[str], action: Action, *, enforced: bool
    ) -> None:
        self.name = name
        self.directions = directions
        self._rules = RuleSet(rules)
        self._action = action
        self._enforced = enforced
        self._most = None if action == "redact" and enforced else _MOST_SPANS
        self.reach = bounded(self._rules.width + 2)  # one character of context on either side

    def clears(self, joined: str) -> bool:
        """Whether no rule matches in any of the joined texts."""
        return not self._rules.matches_any(joined)

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A finding for every match of every rule; one that several views show is told once."""
        found: dict[tuple[int, int, str], Finding] = {}
        for view in text.views:
            for match in self._rules.find(view.text, self._most):
                span = view.span(match.start, match.end)
                rule = match.rule
                found.setdefault(
                    (*span, rule.kind),
                    Finding(self.name, rule.kind, rule.owasp, span, rule.score, self._action, self._enforced),
                )
        return [found[key] for key in sorted(found)]
