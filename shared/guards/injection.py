"""Prompt injection (LLM01): text that tries to take the model's instructions over.

Rules read every reading of a text, so a disguise does not help. What one of them says depends on where the
text comes from: "reply with the code and nothing else" is a user's right and a document's attack. A classifier
judges what is said in other words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from msgspec import Struct

from shared.guards.classifier import KIND as CLASSIFIER
from shared.guards.classifier import Classifier, load_classifier
from shared.guards.injection_rules import TOGETHER
from shared.guards.injection_rules.rule import InjectionRule
from shared.guards.owasp import PROMPT_INJECTION
from shared.guards.patterns import Planted, RuleSet, shipped, tells_capitals
from shared.guards.port import Channel, Context, Finding, JoinedReader, Reach
from shared.policy.types import InjectionPolicy, Thresholds
from shared.text.canonical import Text
from shared.text.smuggled import LONGEST_HONEST
from shared.text.views import View
from shared.text.words import words

THRESHOLD = 0.5
"""The least that a rule must say, of 1, for a finding."""

_PLACES = 2
"""Places told of for one rule in one reading where none of them is cut out of the text …"""

_ENOUGH = 16
"""… and findings in one text after which nothing more is looked for: it is refused or reported anyway."""

_SMUGGLED_SCORE = 0.9

_FETCHED: frozenset[Channel] = frozenset({"document", "tool"})


class Sign(Struct, frozen=True):
    """A rule that matched."""

    rule: InjectionRule
    span: tuple[int, int]
    """In the original text."""

    score: float
    """What it says in text from where this one comes from."""


class InjectionRules:
    """The rules, in groups that are compiled when a text first comes."""

    def __init__(self, together: Sequence[Sequence[InjectionRule]] = TOGETHER) -> None:
        self._groups = [group for rules in together for group in _groups(rules)]

    def signs(self, text: Text, channel: Channel, most: int | None = None) -> Iterator[Sign]:
        """Each place where a rule matches and says enough.

        Args:
            text: What is read.
            channel: Where it comes from.
            most: Places for one rule in one reading. None: all of them, in all readings; else no more readings are
                looked at, or made, once one shows an attack.
        """
        for view in _worth_reading(text):
            found = False
            for sign in self._in_view(view, channel, most):
                found = True
                yield sign
            if found and most is not None:
                return

    def _in_view(self, view: View, channel: Channel, most: int | None) -> Iterator[Sign]:
        plain = words(view)
        shown = {"text": (view, Planted(view.text)), "words": (plain, Planted(plain.text))}
        is_ascii = view.text.isascii()
        for group in self._groups:
            if (group.channels is not None and channel not in group.channels) or (is_ascii and group.other_scripts):
                continue
            where, encoded = shown[group.reads]
            for match in group.rules.find_in(encoded, most):
                rule = group.of[match.rule.id]
                score = rule.score_in(channel)
                if score >= THRESHOLD:
                    yield Sign(rule, where.span(match.start, match.end), score)


def _worth_reading(text: Text) -> Iterator[View]:
    """The readings, plain text first, which may suffice; but not what was folded, which says nothing else to rules."""
    base = text.views[-1]
    if base.text.isascii():
        yield base
    folded = any(view.name == "folded" for view in text.readings)
    yield from (view for view in text.readings if view is not base or not (folded or base.text.isascii()))


class _Group(Struct, frozen=True):
    """Rules that are matched together."""

    rules: RuleSet
    of: dict[str, InjectionRule]
    reads: str
    channels: frozenset[Channel] | None
    """Where they say enough; None: everywhere."""

    other_scripts: bool
    """Whether none of them can match a text of nothing but ASCII."""


def _groups(rules: Sequence[InjectionRule]) -> Iterator[_Group]:
    """Those that say enough everywhere, and those that do in documents only; and apart those that tell capitals."""
    alike: dict[tuple[bool, bool], list[InjectionRule]] = {}
    for rule in rules:
        alike.setdefault((rule.score_in("user") >= THRESHOLD, tells_capitals(rule.pattern)), []).append(rule)
    for everywhere, capitals in product((True, False), (False, True)):
        if some := alike.get((everywhere, capitals)):
            yield _Group(
                shipped(tuple(some), bytewise=all(rule.pattern.isascii() for rule in some)),
                {rule.id: rule for rule in some},
                some[0].reads,
                None if everywhere else _FETCHED,
                not any(rule.pattern.isascii() for rule in some),
            )


class InjectionGuard(JoinedReader):
    """The guard against prompt injection; it reads what goes to the model.

    Without the classifier's weights it inspects nothing: what that means is for the policy's ``fail`` to say.

    Args:
        policy: What it does about its findings, and from which score on the classifier's is one.
        classifier: Makes the classifier; by default the one that ships with Wardgate.
    """

    name = "injection"
    directions = frozenset({"input"})
    reach = Reach(None)

    def __init__(
        self, policy: InjectionPolicy, classifier: Callable[[Thresholds], Classifier] = load_classifier
    ) -> None:
        self._rules = InjectionRules()
        self._fault: Exception | None = None
        try:
            self._classifier = classifier(policy.thresholds)
        except (OSError, ValueError) as error:
            self._fault = error
        self._action = policy.action
        self._enforced = policy.mode == "enforce"
        self._most = None if policy.action == "redact" and self._enforced else _PLACES

    def clears(self, joined: str) -> bool:
        """Never: what a text says behind its disguise cannot be told from many texts at once."""
        return False

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A finding for every place and kind, with the most that is said of it."""
        if self._fault is not None:
            raise RuntimeError("the classifier's weights cannot be used") from self._fault
        most = None if context.every else self._most
        found: dict[tuple[int, int, str], Finding] = {}
        for sign in self._rules.signs(text, context.channel, most):
            self._add(found, sign.span, sign.rule.kind, sign.score)
            if most is not None and len(found) >= _ENOUGH:
                break
        if found and most is not None:  # it is refused, or reported, whatever else is said of it
            return _outermost(sorted(found.values(), key=_beginning))
        for place in self._classifier.find(text, context.channel, [finding.span for finding in found.values()]):
            self._add(found, place.span, CLASSIFIER, round(place.score, 4))
        for view in text.readings:
            if view.name == "tags" and len(view.text) > LONGEST_HONEST:
                self._add(found, view.span(0, len(view.text)), "hidden_text", _SMUGGLED_SCORE)
        return _outermost(sorted(found.values(), key=_beginning))

    def _add(self, found: dict[tuple[int, int, str], Finding], span: tuple[int, int], kind: str, score: float) -> None:
        key = (*span, kind)
        if key not in found or found[key].score < score:
            found[key] = Finding(self.name, kind, PROMPT_INJECTION, span, score, self._action, self._enforced)


def _beginning(finding: Finding) -> tuple[int, int]:
    return finding.span[0], -finding.span[1]


def _outermost(findings: Sequence[Finding]) -> list[Finding]:
    """``findings``, in order of their beginnings, without those that lie in another of their kind."""
    kept: list[Finding] = []
    ends: dict[str, int] = {}
    for finding in findings:
        if finding.span[1] > ends.get(finding.kind, 0):
            kept.append(finding)
            ends[finding.kind] = finding.span[1]
    return kept


def injection_guard(policy: InjectionPolicy) -> InjectionGuard:
    """The guard against prompt injection, as the policy arms it."""
    return InjectionGuard(policy)
