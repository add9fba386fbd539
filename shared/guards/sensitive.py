"""A guard for things that must not be told: rules as data on RE2, each candidate then checked by code.

A rule's pattern finds candidates cheaply; words before one, a checksum or a library then decide. Whether a
span is found depends on the span, the character after it, and the ``CONTEXT`` characters before it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from shared.guards.owasp import SENSITIVE_INFORMATION_DISCLOSURE as _OWASP
from shared.guards.patterns import Match, Rule, shipped
from shared.guards.port import Context, Finding, Reach
from shared.policy.types import KindsRule
from shared.text.canonical import Text
from shared.text.scanning import image, scanner

CONTEXT = 96
"""Characters before a value that may matter to it."""

NEAR = 48
"""Characters between a value and the words before it that say what it is."""

_WIDEST = 66
"""Characters of the longest value that needs such words, with one on either side."""

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
"""ASCII but for blanks and controls."""

START = "(?:^|[^A-Za-z0-9_-])"
"""Before a value: not inside a word, nor inside a run of what keys are made of."""

END = "(?:$|[^A-Za-z0-9])"

_MOST_WORK = 600
"""What the checks of one prompt may cost together, in units of ``SensitiveRule.cost``; what comes after that is taken
for what it looks like: the guard does not let pass what it has no time to check."""

_MOST_TOLD = 100
"""Findings of one rule in one prompt after which no more are looked for, where none of them is taken out of it: no
more are told of one request anyway."""

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
    """For a rule with ``cost``: asked only as long as the guard has time to."""

    sift: Check | None = None
    """Rules most candidates out before ``check``, in a microsecond or two, and is always asked."""

    words: str | None = None
    """A pattern that must match before the value, at most ``NEAR`` characters from it."""

    cost: int = 0
    """What ``check`` takes at most, in units of some ten microseconds; 0 where it takes one or two."""

    matches: tuple[str, ...] = ()
    """Texts in which the rule must find its kind; read by its tests only."""

    passes: tuple[str, ...] = ()
    """Texts in which it must not."""


class SensitiveGuard:
    """Finds what its rules describe, and says of each what the policy wants done about its kind.

    Args:
        most: The most characters of a value, unless its rule's check says otherwise.
        candidates: How many of one rule are looked at in one prompt. If there are more, all that follows counts as one
            value, so that nothing is let pass that was not looked at.
        reach: What the guard holds back; its context is ``CONTEXT``.
    """

    directions = frozenset({"input", "output"})

    def __init__(
        self, name: str, rules: Sequence[SensitiveRule], policy: KindsRule, *, most: int, candidates: int, reach: Reach
    ) -> None:
        self.name = name
        self.reach = reach
        self._most = most
        self._most_candidates = candidates
        self._actions = {
            direction: {rule.kind: policy.action(rule.kind, direction) for rule in rules}
            for direction in self.directions
        }
        self._enforced = policy.mode == "enforce"
        self._of = {rule.id: rule for rule in rules}
        self._alone = shipped(tuple(_rule(rule, rule.pattern) for rule in rules if rule.words is None))
        needing = [rule for rule in rules if rule.words is not None]
        self._needing = shipped(tuple(_rule(rule, rule.pattern) for rule in needing))
        self._words = shipped(tuple(_rule(rule, rule.words or "") for rule in needing))
        self._patterns = {rule.id: scanner(f"(?i){rule.pattern}") for rule in needing}

    def clears(self, joined: str) -> bool:
        """Whether nothing in any of the joined texts looks like a candidate."""
        return not self._alone.matches_any(joined) and not (
            self._needing.matches_any(joined) and self._words.matches_any(joined)
        )

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """What is found, in order."""
        found: dict[int, list[Finding]] = {}
        near: set[tuple[int, int]] = set()
        actions = self._actions[context.direction]
        work = _Work() if context.direction == "input" else None  # each window over an answer must show the same
        for view in text.views:
            for rule, candidates in self._candidates(view.text):
                if (action := actions[rule.kind]) == "off":
                    continue
                only_told = action == "flag" or not self._enforced
                most = _MOST_TOLD if only_told and work is not None else None
                for start, end in islice(self._values(rule, view.text, candidates, work), most):
                    span = view.span(start, end)
                    finding = Finding(self.name, rule.kind, _OWASP, span, rule.score, action, self._enforced)
                    found.setdefault(span[0], []).append(finding)
                    if rule.words is None and end - start < _WIDEST:
                        near.add(span)
        return _told(found, near)

    def _values(
        self, rule: SensitiveRule, text: str, candidates: Iterator[tuple[int, int]], work: _Work | None
    ) -> Iterator[tuple[int, int]]:
        """The candidates that are what they look like, or that there is no more time to check."""
        for number, (start, end) in enumerate(candidates):
            if work is not None and number == self._most_candidates:
                yield start, len(text)
                return
            if rule.sift is not None:
                end = rule.sift(text, start, end)
            if rule.check is not None and end > start and (work is None or work.covers(rule.cost)):
                end = rule.check(text, start, end)
            if end > start:
                yield start, end

    def _candidates(self, text: str) -> Iterator[tuple[SensitiveRule, Iterator[tuple[int, int]]]]:
        """What looks like a value, a rule at a time."""
        for rule, matches in self._alone.by_rule(text):
            yield self._of[rule.id], ((match.start, min(match.end, match.start + self._most)) for match in matches)
        if self._needing.matches_any(text):
            shown = image(text)
            for rule, words in self._words.by_rule(text):
                yield self._of[rule.id], self._beside(shown, rule.id, words)

    def _beside(self, shown: bytes, rule_id: str, words: Iterator[Match]) -> Iterator[tuple[int, int]]:
        """What looks like a rule's value and stands behind its words."""
        pattern, reached = self._patterns[rule_id], 0
        for word in words:
            base = word.end - 1
            near = shown[base : word.end + NEAR + _WIDEST]
            position = max(reached - base, 0)
            while (match := pattern.search(near, position)) is not None:
                start, end = match.span(1)
                if start > NEAR + 1:
                    break
                position = match.start() + 1
                reached = base + position
                if start > 0:
                    yield base + start, base + end


class _Work:
    """What is left of ``_MOST_WORK`` for one prompt."""

    def __init__(self) -> None:
        self._left = _MOST_WORK

    def covers(self, cost: int) -> bool:
        """Whether there is time for a check; if so, it is taken."""
        if cost > self._left:
            return False
        self._left -= cost
        return True


def _rule(rule: SensitiveRule, pattern: str) -> Rule:
    return Rule(rule.id, rule.kind, _OWASP, pattern, 0, rule.score)


def visible_run(text: str, most: int) -> int:
    """Where the run of visible ASCII begins that ends ``text``, or its last ``most`` characters."""
    return max(len(text) - most, len(text.rstrip(VISIBLE)))


_GRAVITY = {"block": 3, "redact": 2, "mask": 1, "flag": 0}


def _told(found: dict[int, list[Finding]], near: set[tuple[int, int]]) -> list[Finding]:
    """What is found, in order, without what another finding covers.

    Args:
        found: By where it begins.
        near: Spans that every window shows which shows a part of them: only these count as covering.
    """
    told: list[Finding] = []
    covered = gravity = 0
    for start in sorted(found):
        for finding in _uncovered(found[start]):
            end, graver = finding.span[1], _GRAVITY[finding.action]
            if end > covered or graver > gravity:
                told.append(finding)
                if end > covered and finding.span in near:
                    covered, gravity = end, graver
    return told


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
