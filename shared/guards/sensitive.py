"""A guard for things that must not be told: rules as data on RE2, each candidate then checked by code.

A rule's pattern finds candidates cheaply; words before one, a checksum or a library then decide. Whether a
span is found depends on the span, the character after it, and the ``CONTEXT`` characters before it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import re2  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct

from shared.guards.owasp import SENSITIVE_INFORMATION_DISCLOSURE
from shared.guards.patterns import Rule, RuleSet
from shared.guards.port import Context, Finding, Reach
from shared.policy.types import KindsRule
from shared.text.canonical import Text

CONTEXT = 96
"""Characters before a value in which the words that it needs must stand; a pattern reaches no further back."""

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
"""ASCII but for blanks and controls."""

START = "(?:^|[^A-Za-z0-9])"
"""Before a value: not inside a word."""

END = "(?:$|[^A-Za-z0-9])"

_MOST_COSTLY = 100
"""Costly checks in one prompt; what comes after so many is taken for what it looks like."""

Check = Callable[[str, int, int], int]
"""Where the value that a pattern found at ``text[start:end]`` really ends; ``start`` where it is none."""


class SensitiveRule(Struct, frozen=True):
    """How one kind of thing is found."""

    id: str
    kind: str
    pattern: str
    """In RE2's syntax, without regard to case unless it says so. Group 1 is the value, and has no part that
    is neither visible ASCII nor in the guard's tail."""

    score: float
    check: Check | None = None
    context: str | None = None
    """A pattern that must match within ``CONTEXT`` characters before the value."""

    costly: bool = False
    """Whether ``check`` takes more than some microseconds."""

    matches: tuple[str, ...] = ()
    """Texts in which the rule must find its kind; read by its tests only."""

    passes: tuple[str, ...] = ()
    """Texts in which it must not."""


class SensitiveGuard:
    """Finds what its rules describe, and says of each what the policy wants done about its kind.

    Args:
        most: The most characters of a value, unless its rule's check says otherwise.
        reach: What the guard holds back; its context is ``CONTEXT``.

    Raises:
        ValueError: A pattern is not RE2.
    """

    directions = frozenset({"input", "output"})

    def __init__(
        self, name: str, rules: Sequence[SensitiveRule], policy: KindsRule, *, most: int, reach: Reach
    ) -> None:
        self.name = name
        self.reach = reach
        self._most = most
        self._policy = policy
        self._enforced = policy.mode == "enforce"
        self._of = {rule.id: rule for rule in rules}
        self._rules = RuleSet(
            [Rule(rule.id, rule.kind, SENSITIVE_INFORMATION_DISCLOSURE, rule.pattern, most, rule.score) for rule in rules]
        )
        self._contexts = {rule.id: _compiled(rule.context) for rule in rules if rule.context is not None}

    def clears(self, joined: str) -> bool:
        """Whether nothing in any of the joined texts looks like a candidate."""
        return not self._rules.matches_any(joined)

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """What is found, in order; of several findings that begin at one place, those that no other covers."""
        found: dict[int, list[Finding]] = {}
        allowance = _MOST_COSTLY if context.direction == "input" else len(text.original)
        for view in text.views:
            for match in self._rules.find(view.text):
                rule = self._of[match.rule.id]
                action = self._policy.action(rule.kind, context.direction)
                if action == "off" or not self._in_context(rule, view.text, match.start):
                    continue
                end = min(match.end, match.start + self._most)
                if rule.check is not None and (allowance > 0 or not rule.costly):
                    end = rule.check(view.text, match.start, end)
                    allowance -= rule.costly
                if end > match.start:
                    span = view.span(match.start, end)
                    finding = Finding(
                        self.name,
                        rule.kind,
                        SENSITIVE_INFORMATION_DISCLOSURE,
                        span,
                        rule.score,
                        action,
                        self._enforced,
                    )
                    found.setdefault(span[0], []).append(finding)
        return [finding for start in sorted(found) for finding in _uncovered(found[start])]

    def _in_context(self, rule: SensitiveRule, text: str, start: int) -> bool:
        needed = self._contexts.get(rule.id)
        return needed is None or needed.search(text[max(start - CONTEXT, 0) : start]) is not None


def visible_run(text: str, most: int) -> int:
    """Where the run of visible ASCII begins that ends ``text``, or its last ``most`` characters."""
    return max(len(text) - most, len(text.rstrip(VISIBLE)))


def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"a rule's context does not compile on RE2: {error}") from error


_GRAVITY = {"block": 3, "redact": 2, "mask": 1, "flag": 0}


def _uncovered(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that begin at one place, without those that a graver or surer one covers."""
    if len(findings) == 1:
        return list(findings)
    kept: list[Finding] = []
    ranked = sorted(findings, key=lambda f: (-_GRAVITY[f.action], -f.score, -f.span[1], f.kind))
    for finding in ranked:
        if all(finding.span[1] > other.span[1] for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda finding: finding.span)
