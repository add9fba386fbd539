"""The guards of a policy, made once at start, and the passes they make over what comes and goes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import msgspec

from shared.errors import BadRequest
from shared.guards.allowed import AllowedPhrases
from shared.guards.canary import CanaryGuard, new_canary
from shared.guards.forms import Expected, FormGuard
from shared.guards.grounding import GroundingGuard
from shared.guards.harm import HarmGuard
from shared.guards.injection import injection_guard
from shared.guards.inspection import AnswerInspection, Armed, Inspection, RequestInspection, Scan, told
from shared.guards.links import LinkGuard
from shared.guards.markup import MarkupGuard
from shared.guards.masking import Masks
from shared.guards.output import OutputGuard
from shared.guards.parts import Part, Parts, answer_parts, canonical_text, request_parts, with_texts
from shared.guards.pii import pii_guard
from shared.guards.port import SEPARATOR, Background, Bindable, Channel, Direction, Finding, Guard, GuardRun
from shared.guards.prompt_leak import PromptLeakGuard
from shared.guards.redaction import rewrite, without_secrets
from shared.guards.reviewer import Reviewer
from shared.guards.schema import SchemaGuard
from shared.guards.secrets import secrets_guard
from shared.guards.sizes import check_sizes
from shared.guards.suspicious import suspicious_guard
from shared.guards.tools import ToolGuard
from shared.guards.topics import topic_guard
from shared.guards.unmasking import unmask_answer
from shared.models.wire import AnswerMessage, ChatCompletion, ChatRequest
from shared.policy.types import GuardMode, Guards, SizeLimits, Unmasking
from shared.text.canonical import Text

AnyTextGuard = Guard | Reviewer | Bindable


class TextGuard(msgspec.Struct, frozen=True):
    """A guard over text that ships with Wardgate."""

    name: str
    """Also the field of the policy's ``guards`` that holds its rule."""

    directions: frozenset[str]
    make: Callable[..., AnyTextGuard | None]
    """From that rule; None where it leaves nothing to look for."""

    beside: tuple[str, ...] = ()
    """Other fields of the policy's ``guards`` that it must know."""


def _from(module: str, name: str) -> Callable[..., AnyTextGuard | None]:
    """What makes a guard that few policies switch on, so that only their starts read its module."""
    return lambda *rules: getattr(import_module(f"shared.guards.{module}"), name)(*rules)


_PROMPTS, _ANSWERS, _BOTH = frozenset({"input"}), frozenset({"output"}), frozenset({"input", "output"})

TEXT_GUARDS = (
    TextGuard("injection", _PROMPTS, injection_guard),
    TextGuard("second_stage", _PROMPTS, _from("second_stage", "second_stage_guard"), beside=("injection", "allow")),
    TextGuard("suspicious", _BOTH, suspicious_guard),
    TextGuard("secrets", _BOTH, secrets_guard),
    TextGuard("pii", _BOTH, pii_guard),
    TextGuard("links", _ANSWERS, LinkGuard),
    TextGuard("markup", _ANSWERS, MarkupGuard),
    TextGuard("canary", _ANSWERS, CanaryGuard),
    TextGuard("prompt_leak", _ANSWERS, PromptLeakGuard),
    TextGuard("topics", _BOTH, topic_guard),
    TextGuard("grounding", _ANSWERS, GroundingGuard),
    TextGuard("moderation", _BOTH, _from("moderation", "ModerationGuard")),
    TextGuard("model_armor", _BOTH, _from("model_armor", "model_armor_guard")),
)
"""In the order in which they run and are reported."""


def text_guards(policy: Guards) -> tuple[Armed[AnyTextGuard], ...]:
    """The guards over text, as the policy arms them.

    Raises:
        ConfigurationError: A guard that is on lacks what it needs.
        ValueError: A guard's rules do not compile.
    """
    allowed = {name for phrase in policy.allow for name in phrase.guards}
    return tuple(_armed(each, policy, every=each.name in allowed) for each in TEXT_GUARDS)


def _armed(guard: TextGuard, policy: Guards, *, every: bool) -> Armed[AnyTextGuard]:
    rule: GuardMode = getattr(policy, guard.name)
    made = None if rule.mode == "off" else guard.make(rule, *(getattr(policy, name) for name in guard.beside))
    return Armed(guard.name, rule, guard.directions, made, every)


class Pipeline:
    """Every guard that a policy arms. Holds no state between calls, so one serves all threads.

    Args:
        policy: What each guard does about its findings, and the sizes allowed.
        guards: The guards over text; by default those that ship with Wardgate.

    Raises:
        ValueError: A guard's rules do not compile.
    """

    def __init__(self, policy: Guards, guards: Sequence[Armed[AnyTextGuard]] | None = None) -> None:
        self._policy = policy
        self._allowed = AllowedPhrases(policy.allow)
        self._texts = tuple(text_guards(policy) if guards is None else guards)
        directions: tuple[Direction, ...] = ("input", "output")
        self._unbound = {direction: self._bound_to(None, direction) for direction in directions}
        """What they are where nothing is known of a request."""

        output = None if policy.output.mode == "off" else OutputGuard(policy.output, policy.sizes.answer_characters)
        self.output: Armed[OutputGuard] = Armed("output", policy.output, _ANSWERS, output)
        schema = None if policy.schema.mode == "off" else SchemaGuard(policy.schema)
        self._schema: Armed[SchemaGuard] = Armed(SchemaGuard.name, policy.schema, _ANSWERS, schema)
        tools = None if policy.tools.mode == "off" else ToolGuard(policy.tools)
        self._tools: Armed[ToolGuard] = Armed(ToolGuard.name, policy.tools, _BOTH, tools)
        harm = None if policy.harm.mode == "off" else HarmGuard(policy.harm)
        self._harm: Armed[HarmGuard] = Armed(HarmGuard.name, policy.harm, _ANSWERS, harm)
        self.forms: tuple[Armed[FormGuard], ...] = (self.output, self._schema, self._tools, self._harm)

    @property
    def notice(self) -> str:
        """What is told with every answer."""
        return self._policy.notice

    @property
    def sizes(self) -> SizeLimits:
        """What is refused as too large."""
        return self._policy.sizes

    def check_request(self, request: ChatRequest) -> None:
        """Refuse what no guard needs to look at: call it before anything is charged.

        Raises:
            BadRequest: Too many messages or content parts, a part that no guard can read, or a schema that cannot be
                enforced.
            PayloadTooLarge: Too much text.
        """
        parts = request_parts(request)
        check_sizes(request, parts, self._policy.sizes)
        self._refuse_unscannable(parts)
        if self._schema.guard is not None:
            self._schema.guard.check_request(request)

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
        found = [
            self._allowed.apply(text.original, findings)
            for text, findings in zip(texts, scan.over(self.guards("input"), parts.texts, texts), strict=True)
        ]
        scan.saw(self._armed("input"), len(prompt.encode()) - max(len(texts) - 1, 0))
        findings = [finding for per_part in found for finding in per_part]
        if (tools := self._tools.guard) is not None:
            findings += scan.attempt(self._tools, partial(tools.offered, request))
        masks = Masks(prompt) if _masked(findings) else None
        changes = _Changes(parts.texts, texts, found, masks, self._policy.unmask)
        goes_on = with_texts(request, parts.texts, changes.texts)
        forwarded = changes.forwarded(parts.texts if goes_on is request else request_parts(goes_on).texts)
        scan.forwarded(forwarded)
        return RequestInspection(
            direction="input",
            verdict=scan.verdict(findings),
            findings=told(findings),
            runs=scan.runs(),
            text=prompt,
            kept=_kept(texts, found) if findings else prompt,
            bytes_forwarded=forwarded,
            unscanned=parts.unscannable,
            faults=scan.faults,
            request=goes_on,
            masks=changes.masks,
        )

    def inspect_answer(
        self, completion: ChatCompletion, request: ChatRequest, background: Background | None = None
    ) -> AnswerInspection:
        """Inspect every text of the answer to ``request``; ``completion`` itself is left as it is.

        Args:
            completion: As the model gave it.
            request: As it went on to the model.
            background: What else is known of it; None: nothing.
        """
        expected = Expected.of(request)
        parts = answer_parts(completion, expected.content_form)
        texts = [part.read() for part in parts]
        background = background or Background(request)
        scan = self.scan("output", background)
        found = scan.over(self.guards("output", background), parts, texts)
        scan.saw(self._armed("output"), sum(len(text.canonical.text.encode()) for text in texts))
        changes = _Changes(parts, texts, found)
        answer = with_texts(completion, parts, changes.texts)
        findings = [finding for per_part in found for finding in per_part]
        if (output := self.output.guard) is not None:
            characters = sum(len(text.canonical.text) for text in texts)
            findings += scan.attempt(self.output, partial(output.oversize, characters))
        for choice in answer.choices:
            findings += scan.over_forms(self.forms, choice, expected)
        answer = _without_blocked(answer, findings, all_of_them=scan.refused)
        forwarded = changes.forwarded(answer_parts(answer, expected.content_form))
        scan.forwarded(forwarded)
        answer = self._marked(_without_blocked(answer, findings, all_of_them=scan.refused))
        kept = text = self.text_of(answer, expected)
        if background.masks is not None:
            answer = unmask_answer(answer, expected.content_form, background.masks, self._policy.unmask)
            text = self.text_of(answer, expected)
        return scan.of_answer(findings, answer, text=text, kept=kept, forwarded=forwarded)

    def inspect_text(self, text: str, direction: Direction, channel: Channel = "user") -> Inspection:
        """Inspect one text that belongs to no request. What an answer's form must be is not known here."""
        part = Part("", channel, text, "prose", None, "")
        read = part.read()
        scan = Scan(direction, self._armed(direction, text_alone=True))
        canonical = read.canonical.text
        (found,) = scan.over(self.guards(direction), [part], [read])
        scan.saw(self._armed(direction), len(canonical.encode()))
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
            kept=without_secrets(read, found),
            bytes_forwarded=0,
            faults=scan.faults,
        )

    @property
    def unmasking(self) -> Unmasking:
        """Where placeholders are turned back."""
        return self._policy.unmask

    @staticmethod
    def text_of(answer: ChatCompletion, expected: Expected) -> str:
        """All text of an answer, for the audit trail."""
        return canonical_text([part.read() for part in answer_parts(answer, expected.content_form)])

    def not_run(self, direction: Direction) -> tuple[GuardRun, ...]:
        """The guards of a direction that was never reached, for an honest receipt."""
        return tuple(GuardRun(armed.name, direction, "skipped", 0) for armed in self._armed(direction))

    def guards(self, direction: Direction, background: Background | None = None) -> tuple[Armed[Guard | Reviewer], ...]:
        """The guards over text of one direction, also those that are off, or have nothing to look for."""
        if background is None:
            return self._unbound[direction]
        return background.once(direction, lambda: self._bound_to(background, direction))

    def _bound_to(self, background: Background | None, direction: Direction) -> tuple[Armed[Guard | Reviewer], ...]:
        return tuple(_bound(armed, background) for armed in self._texts if direction in armed.directions)

    def background(self, request: ChatRequest, system_prompt: str | None, masks: Masks | None = None) -> Background:
        """What guards are to know of a request when its answer comes; with a canary, if there is where to plant one."""
        planted = system_prompt is not None and any(
            armed.name == CanaryGuard.name and armed.guard for armed in self._texts
        )
        return Background(request, system_prompt, new_canary() if planted else None, masks)

    def scan(self, direction: Direction, background: Background | None = None) -> Scan:
        """A new pass of all guards of one direction."""
        return Scan(direction, self._armed(direction, background), background)

    def prompt_refused(self) -> tuple[Finding, ...]:
        """What is told where the provider's filter stopped the prompt."""
        return () if self._harm.guard is None else (self._harm.guard.prompt_refused(),)

    def needs_approval(self, tool: str) -> bool:
        """Whether calls of a tool wait for somebody's consent."""
        return self._tools.guard is not None and self._tools.guard.needs_approval(tool)

    def _marked(self, answer: ChatCompletion) -> ChatCompletion:
        """The answer with a mark on every call that waits for somebody's consent."""
        calls = [call for choice in answer.choices for call in choice.message.tool_calls or ()]
        if not any(self.needs_approval(call.function.name) for call in calls):
            return answer
        answer = copy.deepcopy(answer)
        for choice in answer.choices:
            for call in choice.message.tool_calls or ():
                if self.needs_approval(call.function.name):
                    call.approval = "required"
        return answer

    def _armed(
        self, direction: Direction, background: Background | None = None, *, text_alone: bool = False
    ) -> tuple[Armed[Any], ...]:
        """All guards of one direction; where there is a text alone, those over the form of an answer do not run."""
        forms: tuple[Armed[Any], ...] = (self._tools,) if direction == "input" else self.forms
        if text_alone:
            forms = tuple(form if form is self.output else _idle(form) for form in forms)
        return (*self.guards(direction, background), *forms)

    def _refuse_unscannable(self, parts: Parts) -> None:
        if parts.unscannable and not self._policy.allow_unscanned_parts:
            raise BadRequest(
                "No guard can read images, recordings or files, and the policy lets none pass unread.",
                code="unscannable_part",
                param=parts.unscannable[0],
            )


def _idle(armed: Armed[Any]) -> Armed[Any]:
    return Armed(armed.name, armed.rule, armed.directions, None)


def _bound(armed: Armed[AnyTextGuard], background: Background | None) -> Armed[Guard | Reviewer]:
    """A guard that knows the request, if it must."""
    guard = armed.guard
    if isinstance(guard, Bindable):
        guard = None if background is None else guard.for_answer(background)
    return Armed(armed.name, armed.rule, armed.directions, guard, armed.every)


def _masked(findings: Iterable[Finding]) -> bool:
    return any(finding.enforced and finding.action == "mask" for finding in findings)


def _kept(texts: Sequence[Text], found: Sequence[Sequence[Finding]]) -> str:
    return SEPARATOR.join([without_secrets(text, findings) for text, findings in zip(texts, found, strict=True)])


class _Changes:
    """The texts that may not go on as they came, as they may, and what was put into them."""

    def __init__(
        self,
        parts: Sequence[Part],
        texts: Sequence[Text],
        found: Sequence[Sequence[Finding]],
        masks: Masks | None = None,
        unmask: Unmasking | None = None,
    ) -> None:
        self.masks = masks
        self.texts: dict[int, str] = {}
        """By the index of their parts."""

        self._added: dict[str, int] = {}
        for index, (part, text, findings) in enumerate(zip(parts, texts, found, strict=True)):
            passed = text.views[0].text
            if findings:
                returns = unmask is not None and part.role in unmask.roles
                rewritten = rewrite(text, part.form, findings, masks, returns=returns)
                passed, self._added[part.path] = rewritten.text, rewritten.added
            if passed != part.text:
                self.texts[index] = passed

    def forwarded(self, parts: Iterable[Part]) -> int:
        """Bytes of the text as it came among those of ``parts``, which go on."""
        return sum(len(part.text.encode()) - self._added.get(part.path, 0) for part in parts)


def _without_blocked(answer: ChatCompletion, findings: Sequence[Finding], *, all_of_them: bool) -> ChatCompletion:
    """The answer with every blocked choice emptied."""
    blocks = [finding.part for finding in findings if finding.enforced and finding.action == "block"]
    choices = []
    for choice in answer.choices:
        if all_of_them or any(part == "choices" or part.startswith(f"choices[{choice.index}].") for part in blocks):
            choice = msgspec.structs.replace(choice, message=AnswerMessage(), finish_reason="content_filter")
        choices.append(choice)
    return msgspec.structs.replace(answer, choices=choices) if blocks or all_of_them else answer
