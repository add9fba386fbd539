"""One pass of the guards over one request or answer, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from msgspec import Struct

from shared.errors import ContentFiltered
from shared.guards.forms import Expected, FormGuard
from shared.guards.masking import Masks
from shared.guards.neighbours import neighbours
from shared.guards.parts import Part
from shared.guards.port import (
    SEPARATOR,
    VERDICTS,
    Background,
    Context,
    Direction,
    Finding,
    Guard,
    GuardRun,
    JoinedReader,
    RunStatus,
    Verdict,
    verdict_of,
)
from shared.guards.redaction import settled
from shared.guards.reviewer import Interrupted, Reviewer
from shared.later import NotMade
from shared.models.wire import ChatCompletion, ChatRequest, Choice
from shared.policy.types import GuardMode
from shared.text.canonical import Text

MOST_FINDINGS = 100
"""Findings told of one request or answer, so that an event stays small; the gravest come first into it."""


_RAN = ("ran", "monitor")

AnyGuard = TypeVar("AnyGuard", covariant=True)
Found = TypeVar("Found")


class Armed(Struct, Generic[AnyGuard], frozen=True):
    """A guard and what the policy says of it."""

    name: str
    rule: GuardMode
    directions: frozenset[str]
    guard: AnyGuard | None
    """None where it is off."""

    every: bool = False
    """Whether it must find every place: some may be allowed, by phrase, and say nothing of the others."""

    def acts(self, direction: Direction) -> bool:
        """Whether its findings change what goes on."""
        return self.guard is not None and self.rule.mode == "enforce" and self.rule.actions(direction) != {"flag"}

    def cuts(self, direction: Direction) -> bool:
        """Whether there are findings that it takes out of what goes on."""
        return self.acts(direction) and bool({"redact", "mask"} & self.rule.actions(direction))


class Inspection(Struct, frozen=True, kw_only=True):
    """What the guards made of a text."""

    direction: Direction
    verdict: Verdict
    findings: tuple[Finding, ...]
    """By part and place; at most ``MOST_FINDINGS``, the gravest kept."""

    runs: tuple[GuardRun, ...]
    text: str
    """For the audit trail's keyed hash: all text, canonical, with ``SEPARATOR`` between its parts. A prompt as it
    came, an answer as it goes on."""

    kept: str
    """For the audit trail's sealed copy: ``text`` without the secrets and personal data on which a guard acted; an
    answer with its placeholders."""

    bytes_forwarded: int
    """Of the text as it came, how much goes on: to the model, or to the client. What guards put in place of what they
    took out is not counted."""

    unscanned: tuple[str, ...] = ()
    """Paths of parts that were let through although no guard can read them."""

    faults: Mapping[str, str] = {}
    """Guards that failed, with the name of the exception's class."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(verdict={self.verdict!r}, findings={self.findings!r}, runs={self.runs!r})"

    @property
    def score(self) -> float:
        """The highest score of any finding, 0 where there is none."""
        return max((finding.score for finding in self.findings), default=0.0)

    def raise_if_blocked(self) -> None:
        """Refuse what a guard blocked.

        Raises:
            ContentFiltered: Names the guard and, in a request, the part.
        """
        if self.verdict != "block":
            return
        what = "prompt" if self.direction == "input" else "model's answer"
        for finding in self.findings:
            if finding.enforced and finding.action == "block":
                raise ContentFiltered(
                    f"The {what} was blocked by the guard '{finding.guard}' ({finding.kind}).",
                    param=finding.part or None if self.direction == "input" else None,
                )
        failed = next(run.guard for run in self.runs if run.status == "failed_closed")
        raise ContentFiltered(
            f"The guard '{failed}' could not inspect the {what}, and the policy lets nothing pass that it has not seen."
        )


class RequestInspection(Inspection, frozen=True, kw_only=True):
    """What the guards made of a request."""

    request: ChatRequest
    """As it may go on: canonical, redacted and masked; the caller's own object where nothing had to change."""

    masks: Masks | None
    """What stands for what in it; None where nothing is masked."""


class AnswerInspection(Inspection, frozen=True, kw_only=True):
    """What the guards made of an answer."""

    completion: ChatCompletion
    """As it may go on, placeholders turned back; blocked choices are empty and end with ``content_filter``."""


class Scan:
    """Runs guards and keeps count: what they found, what they saw, and which of them failed."""

    def __init__(
        self, direction: Direction, guards: Sequence[Armed[Any]], background: Background | None = None
    ) -> None:
        self.direction = direction
        self.background = background
        self.faults: dict[str, str] = {}
        self._guards = guards
        self._seen: dict[str, int] = {}

    def over(
        self, guards: Sequence[Armed[Guard | Reviewer]], parts: Sequence[Part], texts: Sequence[Text]
    ) -> list[list[Finding]]:
        """What text guards find in ``parts``, read as ``texts``: a list for each part, in order of their spans."""
        found: list[list[Finding]] = [[] for _ in parts]
        joined = SEPARATOR.join([view.text for text in texts for view in text.views])
        for armed in guards:
            if armed.guard is not None:
                look = partial(self._look, armed, joined, parts, texts)
                for index, finding in self.attempt(armed, look):
                    found[index].append(finding)
        return [
            sorted(settled(part, findings), key=_place) if findings else []
            for part, findings in zip(parts, found, strict=True)
        ]

    def over_forms(self, guards: Sequence[Armed[FormGuard]], choice: Choice, expected: Expected) -> list[Finding]:
        """What guards over the form find in a choice of an answer."""
        found: list[Finding] = []
        for armed in guards:
            if armed.guard is not None:
                found += self.attempt(armed, partial(armed.guard.validate, choice, expected))
        return found

    def attempt(self, armed: Armed[Any], look: Callable[[], Sequence[Found]]) -> Sequence[Found]:
        """Let a guard look. One that fails finds nothing and is not asked again."""
        if armed.name in self.faults:
            return ()
        try:
            return look()
        except Exception as error:  # the one boundary: what a guard's own fault means is for the policy to say
            self.faults[armed.name] = type(error.__cause__ if isinstance(error, NotMade) else error).__name__
            return ()

    def saw(self, guards: Iterable[Armed[Any]], count: int) -> None:
        """Note that these guards have looked at so many bytes of the text as it came."""
        for armed in guards:
            self._seen[armed.name] = count

    def forwarded(self, count: int) -> None:
        """Note that so many bytes of the text as it came go on. A guard that saw fewer has failed."""
        for armed in self._guards:
            if armed.guard is not None and self._seen.get(armed.name, 0) < count:
                self.faults.setdefault(armed.name, "SawLess")

    @property
    def refused(self) -> bool:
        """Whether a guard failed without which the policy lets nothing pass."""
        return bool(self.faults) and any(self._status(armed) == "failed_closed" for armed in self._guards)

    def verdict(self, findings: Sequence[Finding]) -> Verdict:
        """The gravest consequence of findings and faults."""
        return "block" if self.refused else verdict_of(findings)

    def of_answer(
        self, findings: Sequence[Finding], completion: ChatCompletion, *, text: str, kept: str, forwarded: int
    ) -> AnswerInspection:
        """What came of an answer; fields as in ``Inspection``."""
        return AnswerInspection(
            direction=self.direction,
            verdict=self.verdict(findings),
            findings=told(findings),
            runs=self.runs(),
            text=text,
            kept=kept,
            bytes_forwarded=forwarded,
            faults=self.faults,
            completion=completion,
        )

    def runs(self) -> tuple[GuardRun, ...]:
        """What became of each guard; only one that got through counts what it saw."""
        return tuple(
            GuardRun(armed.name, self.direction, status, self._seen.get(armed.name, 0) if status in _RAN else 0)
            for armed in self._guards
            for status in (self._status(armed),)
        )

    def _look(
        self, armed: Armed[Guard | Reviewer], joined: str, parts: Sequence[Part], texts: Sequence[Text]
    ) -> list[tuple[int, Finding]]:
        """What one guard finds, with the index of its part; one look at everything first, which mostly suffices.

        A guard that redacts, or whose findings may be allowed, must find every place. Any other has said enough
        with as many findings as are told of; to find the rest would let a caller buy much work with a short request.
        """
        guard = armed.guard
        if isinstance(guard, Reviewer):
            try:
                return guard.review(parts, texts, self.direction)
            except Interrupted as cut:
                self.faults[armed.name] = cut.fault
                return cut.found
        if guard is None or guard.clears(joined):
            return []
        every = armed.every or armed.cuts(self.direction)
        found: list[tuple[int, Finding]] = []
        for index, (part, text) in enumerate(zip(parts, texts, strict=True)):
            context = Context(self.direction, part.channel, part.path, part.before, part.since, self.background, every)
            found += [(index, finding) for finding in guard.inspect(text, context)]
            if len(found) >= MOST_FINDINGS and not every:
                break
        if isinstance(guard, JoinedReader):
            for joint in neighbours(parts, texts):
                for finding in guard.inspect(joint.text, Context(self.direction, joint.channel, every=every)):
                    found += joint.located(finding, texts)
        return found

    def _status(self, armed: Armed[Any]) -> RunStatus:
        if armed.guard is None:
            return "skipped"
        if armed.name not in self.faults:
            return "monitor" if armed.rule.mode == "monitor" else "ran"
        return "failed_closed" if armed.rule.mode == "enforce" and armed.rule.fail == "closed" else "failed_open"


def told(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings to tell of, in their order; where there are too many, the gravest."""
    if len(findings) <= MOST_FINDINGS:
        return tuple(findings)
    gravest = sorted(range(len(findings)), key=lambda index: -_gravity(findings[index]))[:MOST_FINDINGS]
    return tuple(findings[index] for index in sorted(gravest))


def _gravity(finding: Finding) -> int:
    return VERDICTS.index(finding.action) if finding.enforced else 0


def _place(finding: Finding) -> tuple[int, int, str]:
    return (*finding.span, finding.kind)
