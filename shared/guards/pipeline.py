"""The guards of a policy, made once at start, and the passes they make over what comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from shared.errors import BadRequest
from shared.guards.allowed import AllowedPhrases
from shared.guards.injection import injection_guard
from shared.guards.inspection import AnswerInspection, Armed, Inspection, RequestInspection, Scan, told
from shared.guards.model_armor import model_armor_guard
from shared.guards.output import Expected, OutputGuard
from shared.guards.parts import Part, Parts, answer_parts, canonical_text, request_parts, with_texts
from shared.guards.port import Channel, Direction, Finding, Guard, GuardRun, Reviewer
from shared.guards.redaction import redact
from shared.guards.sizes import check_sizes
from shared.guards.suspicious import suspicious_guard
from shared.models.wire import AnswerMessage, ChatCompletion, ChatRequest
from shared.policy.types import GuardRule, Guards, SizeLimits
from shared.text.canonical import Text


class TextGuard(msgspec.Struct, frozen=True):
    """A guard over text that ships with Wardgate."""

    name: str
    """Also the field of the policy's ``guards`` that holds its rule."""

    directions: frozenset[str]
    make: Callable[[Any], Guard | Reviewer]
    """From that rule."""


_PROMPTS, _BOTH = frozenset({"input"}), frozenset({"input", "output"})

TEXT_GUARDS = (
    TextGuard("injection", _PROMPTS, injection_guard),
    TextGuard("suspicious", _BOTH, suspicious_guard),
    TextGuard("model_armor", _BOTH, model_armor_guard),
)
"""In the order in which they run and are reported."""


def text_guards(policy: Guards) -> tuple[Armed[Guard | Reviewer], ...]:
    """The guards over text, as the policy arms them.

    Raises:
        ValueError: A guard's rules do not compile.
    """
    return tuple(_armed(each, getattr(policy, each.name)) for each in TEXT_GUARDS)


def _armed(guard: TextGuard, rule: GuardRule) -> Armed[Guard | Reviewer]:
    return Armed(guard.name, rule, guard.directions, None if rule.mode == "off" else guard.make(rule))


class Pipeline:
    """Every guard that a policy arms. Holds no state between calls, so one serves all threads.

    Args:
        policy: What each guard does about its findings, and the sizes allowed.
        guards: The guards over text; by default those that ship with Wardgate.

    Raises:
        ValueError: A guard's rules do not compile.
    """

    def __init__(self, policy: Guards, guards: Sequence[Armed[Guard | Reviewer]] | None = None) -> None:
        self._policy = policy
        self._allowed = AllowedPhrases(policy.allow)
        self._texts = tuple(text_guards(policy) if guards is None else guards)
        output = None if policy.output.mode == "off" else OutputGuard(policy.output, policy.sizes.answer_characters)
        self.output: Armed[OutputGuard] = Armed("output", policy.output, frozenset({"output"}), output)

    @property
    def sizes(self) -> SizeLimits:
        """What is refused as too large."""
        return self._policy.sizes

    def check_request(self, request: ChatRequest) -> None:
        """Refuse what no guard needs to look at: call it before anything is charged.

        Raises:
            BadRequest: Too many messages or content parts, or a part that no guard can read.
            PayloadTooLarge: Too much text.
        """
        parts = request_parts(request)
        check_sizes(request, parts, self._policy.sizes)
        self._refuse_unscannable(parts)

    def inspect_request(self, request: ChatRequest) -> RequestInspection:
        """Inspect every text of a request; ``request`` itself is left as it is.

        Raises:
            BadRequest: A part that no guard can read, and the policy lets none pass.
        """
        parts = request_parts(request)
        self._refuse_unscannable(parts)
        texts = [part.read() for part in parts.texts]
        scan = self.scan("input")
        prompt = canonical_text(texts)
        scan.bytes_seen = len(prompt.encode()) - max(len(texts) - 1, 0)
        found = [
            self._allowed.apply(text.original, findings)
            for text, findings in zip(texts, scan.over(self.guards("input"), parts.texts, texts), strict=True)
        ]
        findings = [finding for per_part in found for finding in per_part]
        return RequestInspection(
            direction="input",
            verdict=scan.verdict(findings),
            findings=told(findings),
            runs=scan.runs(),
            text=prompt,
            unscanned=parts.unscannable,
            faults=scan.faults,
            request=with_texts(request, parts.texts, _changed(parts.texts, texts, found)),
        )

    def inspect_answer(self, completion: ChatCompletion, request: ChatRequest) -> AnswerInspection:
        """Inspect every text of the answer to ``request``; ``completion`` itself is left as it is."""
        expected = Expected.of(request)
        parts = answer_parts(completion, expected.content_form)
        texts = [part.read() for part in parts]
        scan = self.scan("output")
        scan.bytes_seen = sum(len(text.canonical.text.encode()) for text in texts)
        found = scan.over(self.guards("output"), parts, texts)
        answer = with_texts(completion, parts, _changed(parts, texts, found))
        findings = [finding for per_part in found for finding in per_part]
        if (output := self.output.guard) is not None:
            characters = sum(len(text.canonical.text) for text in texts)
            findings += scan.attempt(self.output, partial(output.oversize, characters))
            for choice in answer.choices:
                findings += scan.attempt(self.output, partial(output.validate, choice, expected))
        answer = _without_blocked(answer, findings, all_of_them=scan.refused)
        return AnswerInspection(
            direction="output",
            verdict=scan.verdict(findings),
            findings=told(findings),
            runs=scan.runs(),
            text=canonical_text([part.read() for part in answer_parts(answer, expected.content_form)]),
            faults=scan.faults,
            completion=answer,
        )

    def inspect_text(self, text: str, direction: Direction, channel: Channel = "user") -> Inspection:
        """Inspect one text that belongs to no request. What an answer's form must be is not known here."""
        part = Part("", channel, text, "prose", None, "")
        read = part.read()
        scan = self.scan(direction)
        canonical = read.canonical.text
        scan.bytes_seen = len(canonical.encode())
        (found,) = scan.over(self.guards(direction), [part], [read])
        if direction == "input":
            found = self._allowed.apply(text, found)
        if direction == "output" and (output := self.output.guard) is not None:
            found += scan.attempt(self.output, partial(output.oversize, len(canonical)))
        return Inspection(
            direction=direction,
            verdict=scan.verdict(found),
            findings=told(found),
            runs=scan.runs(),
            text=canonical,
            faults=scan.faults,
        )

    def not_run(self, direction: Direction) -> tuple[GuardRun, ...]:
        """The guards of a direction that was never reached, for an honest receipt."""
        return tuple(GuardRun(armed.name, direction, "skipped", 0) for armed in self._armed(direction))

    def guards(self, direction: Direction) -> tuple[Armed[Guard | Reviewer], ...]:
        """The guards over text of one direction, also those that are off."""
        return tuple(armed for armed in self._texts if direction in armed.directions)

    def scan(self, direction: Direction) -> Scan:
        """A new pass of all guards of one direction."""
        return Scan(direction, self._armed(direction))

    def _armed(self, direction: Direction) -> tuple[Armed[Guard | Reviewer | OutputGuard], ...]:
        return (*self.guards(direction), self.output) if direction == "output" else self.guards(direction)

    def _refuse_unscannable(self, parts: Parts) -> None:
        if parts.unscannable and not self._policy.allow_unscanned_parts:
            raise BadRequest(
                "No guard can read images, recordings or files, and the policy lets none pass unread.",
                code="unscannable_part",
                param=parts.unscannable[0],
            )


def _cuts(findings: Iterable[Finding]) -> list[tuple[int, int]]:
    return [finding.span for finding in findings if finding.enforced and finding.action == "redact"]


def _changed(parts: Sequence[Part], texts: Sequence[Text], found: Sequence[Sequence[Finding]]) -> dict[int, str]:
    """The texts that may not go on as they came, by their index, as they may."""
    changed = {}
    for index, (part, text, findings) in enumerate(zip(parts, texts, found, strict=True)):
        cuts = _cuts(findings) if findings else None
        passed = redact(text, cuts) if cuts else text.views[0].text
        if passed != part.text:
            changed[index] = passed
    return changed


def _without_blocked(answer: ChatCompletion, findings: Sequence[Finding], *, all_of_them: bool) -> ChatCompletion:
    """The answer with every blocked choice emptied."""
    blocks = [finding.part for finding in findings if finding.enforced and finding.action == "block"]
    choices = []
    for choice in answer.choices:
        if all_of_them or any(part == "choices" or part.startswith(f"choices[{choice.index}].") for part in blocks):
            choice = msgspec.structs.replace(choice, message=AnswerMessage(), finish_reason="content_filter")
        choices.append(choice)
    return msgspec.structs.replace(answer, choices=choices) if blocks or all_of_them else answer
