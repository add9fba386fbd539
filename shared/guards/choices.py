"""The choices of a streamed answer, each with its texts behind the hold-back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from shared.guards.forms import Expected
from shared.guards.holdback import HeldText
from shared.guards.masking import Masks
from shared.guards.parts import Form, Part
from shared.guards.pipeline import Pipeline
from shared.guards.port import Background, Finding, Reach, together
from shared.guards.unmasking import Unmasker, unmask_json
from shared.models.wire import (
    AnswerFunction,
    AnswerMessage,
    AnswerToolCall,
    ChatRequest,
    Choice,
    Delta,
    Filtered,
    FinishReason,
    FunctionDelta,
    ToolCallDelta,
)


class AnswerRules:
    """What all choices of one answer share: the guards, how much they hold back, and how much text there is."""

    def __init__(self, pipeline: Pipeline, request: ChatRequest, background: Background) -> None:
        self.expected = Expected.of(request)
        self.masks = background.masks
        self.unmasking = pipeline.unmasking
        self.scan = pipeline.scan("output", background)
        self.characters = 0
        self._output = pipeline.output
        self._forms = pipeline.forms
        self.needs_approval = pipeline.needs_approval
        armed = pipeline.guards("output", background)
        self._acting = [guard for guard in armed if guard.acts("output")]
        self._watching = [guard for guard in armed if not guard.acts("output")]
        reaches = [guard.guard.reach for guard in self._acting if guard.guard is not None]
        # JSON is judged, cut and unmasked whole or not at all
        held = reaches or self.masks or any(form.acts("output") for form in self._forms)
        whole = Reach(None) if held else None
        self.prose_reach = together(reaches) if reaches else None
        self.content_reach = whole if self.expected.json else self.prose_reach
        self.call_reach = whole

    @property
    def too_long(self) -> bool:
        """Whether the answer has more text than the policy lets through."""
        output = self._output
        return output.acts("output") and output.guard is not None and self.characters > output.guard.most_characters

    def text(self, path: str, form: Form, reach: Reach | None) -> HeldText:
        """A text of the answer that is about to grow."""
        return HeldText(path, form, reach, self._look)

    def take(self, held: HeldText, fragment: str) -> str:
        """Add to a text; answers what may leave of it."""
        before = held.length
        released = held.add(fragment)
        self.characters += held.length - before
        return released

    def count(self, texts: Sequence[HeldText]) -> int:
        """Tell the scan what of all these texts each guard has seen; answers the bytes of them that left."""
        received, sent = sum(text.bytes_received for text in texts), sum(text.bytes_sent for text in texts)
        self.scan.saw([*self._watching, *self._forms], received)
        self.scan.saw(self._acting, sum(text.bytes_seen for text in texts))
        self.scan.forwarded(sent)
        return sent

    def watch(self, texts: Sequence[HeldText]) -> list[list[Finding]]:
        """What the guards that do not act find in each of the texts as they stand."""
        parts = [held.part(held.received) for held in texts]
        found = self.scan.over(self._watching, parts, [part.read() for part in parts])
        return [[held.original(finding) for finding in findings] for held, findings in zip(texts, found, strict=True)]

    def validate(self, choice: Choice) -> Sequence[Finding]:
        """What is wrong with the form of a choice that is complete."""
        return self.scan.over_forms(self._forms, choice, self.expected)

    def oversize(self) -> Sequence[Finding]:
        """A finding where the answer is too long."""
        guard = self._output.guard
        return () if guard is None else self.scan.attempt(self._output, lambda: guard.oversize(self.characters))

    def _look(self, part: Part) -> list[Finding] | None:
        (found,) = self.scan.over(self._acting, [part], [part.read()])
        return None if self.scan.refused else found


class HeldChoice:
    """One choice of a streamed answer."""

    def __init__(self, index: int, rules: AnswerRules) -> None:
        self.index = index
        self.ended = False
        self.blocked = False
        """Whether it ended because of a guard."""

        self.finish_reason: FinishReason | None = None
        """Why it ended; None where the model's stream stopped without saying."""

        self.form_findings: Sequence[Finding] = ()
        """What is wrong with its form, once it has ended."""

        self._rules = rules
        self._path = f"choices[{index}].message"
        self._content = rules.text(f"{self._path}.content", rules.expected.content_form, rules.content_reach)
        self._refusal = rules.text(f"{self._path}.refusal", "prose", rules.prose_reach)
        self._unmaskers = {} if rules.masks is None else self._made_unmaskers(rules.masks)
        self._calls: dict[int, _HeldCall] = {}
        self._watched: list[list[Finding]] | None = None
        self._filtered: dict[Filtered, None] = {}

    def take(self, delta: Delta, finish_reason: FinishReason | None, filtered: Sequence[Filtered] = ()) -> Delta:
        """Take in the model's next delta; answers what may leave now."""
        self._filtered |= dict.fromkeys(filtered)
        released = Delta(role=None if delta.role is None else "assistant")
        released.content = self._add(self._content, delta.content)
        released.refusal = self._add(self._refusal, delta.refusal)
        calls = [self._call(part.index).take(part) for part in delta.tool_calls or ()]
        if self._rules.too_long:
            self._end("content_filter", blocked=True)
            return Delta()
        self._sent(self._content, self._refusal)
        if self._content.blocked or self._refusal.blocked:
            released.content = self._rest(self._content, released.content)
            released.refusal = self._rest(self._refusal, released.refusal)
            self._end("content_filter", blocked=True)
            return released
        if self._rules.call_reach is None and calls:
            released.tool_calls = calls
            self._sent(*self._call_texts())
        if finish_reason is not None:
            return _joined(released, self.close(finish_reason))
        return released

    def close(self, finish_reason: FinishReason | None) -> Delta:
        """The choice is complete; answers the rest that may leave."""
        content, refusal = self._content.finish(), self._refusal.finish()
        calls = [self._calls[index].finish() for index in sorted(self._calls)]
        self.form_findings = self._rules.validate(self._as_it_goes_on(finish_reason))
        blocked = self._must_block()
        self._end("content_filter" if blocked else finish_reason, blocked=blocked)
        released = Delta()
        if not (blocked and _is_whole(self._rules.content_reach)):
            released.content = self._rest(self._content, self._unmasked(self._content, content)) or None
            self._sent(self._content)
        released.refusal = self._rest(self._refusal, self._unmasked(self._refusal, refusal)) or None
        self._sent(self._refusal)
        if not blocked and self._rules.call_reach is not None:
            released.tool_calls = calls or None
            for call in calls:
                if call.function is not None and self._rules.needs_approval(call.function.name or ""):
                    call.approval = "required"
            self._sent(*self._call_texts())
        return released

    @property
    def filtered(self) -> list[Filtered] | UnsetType:
        """What the provider's filter found in it."""
        return list(self._filtered) or UNSET

    def masked(self) -> Choice:
        """The choice as it has left, with its placeholders."""
        message = AnswerMessage(content=self._content.passed or None if self._content.has_left else None)
        message.refusal = self._refusal.passed or None
        if calls := [call.whole() for _, call in sorted(self._calls.items()) if call.texts[0].has_left]:
            message.tool_calls = calls
        return Choice(self.index, message, self.finish_reason)

    def text_findings(self) -> list[Finding]:
        """What the guards found in its texts, by text and place."""
        watched = self._watch() if self._watched is None else self._watched
        return [
            finding
            for held, seen in zip(self.texts(), watched, strict=True)
            for finding in sorted([*held.findings, *seen], key=lambda finding: (*finding.span, finding.kind))
        ]

    def texts(self) -> list[HeldText]:
        """Its texts, in the order in which an answer has them."""
        return [self._content, self._refusal, *self._call_texts()]

    def _call_texts(self) -> list[HeldText]:
        return [text for index in sorted(self._calls) for text in self._calls[index].texts]

    def _made_unmaskers(self, masks: Masks) -> dict[int, Unmasker]:
        """For texts that are not JSON, by the ids of the texts behind them."""
        texts = [self._refusal] if self._rules.expected.json else [self._content, self._refusal]
        return {id(text): Unmasker(masks, links=self._rules.unmasking.links) for text in texts}

    def _unmasked(self, held: HeldText, text: str) -> str:
        """What may leave of a text that guards let go."""
        unmasker = self._unmaskers.get(id(held))
        if unmasker is not None:
            return unmasker.add(text)
        masks = self._rules.masks
        return text if masks is None else unmask_json(text, masks, links=self._rules.unmasking.links)

    def _rest(self, held: HeldText, text: str | None) -> str | None:
        """``text``, and what is left of the text when no more of it will come."""
        unmasker = self._unmaskers.get(id(held))
        rest = "" if unmasker is None else unmasker.finish()
        return (text or "") + rest if rest else text

    @staticmethod
    def _sent(*texts: HeldText) -> None:
        for text in texts:
            text.sent()

    def _add(self, held: HeldText, fragment: str | None) -> str | None:
        """What may leave of a text; an empty fragment, by which some servers open a text, is passed on."""
        if fragment is None or self._content.blocked:
            return None
        return self._unmasked(held, self._rules.take(held, fragment)) or (None if fragment else "")

    def _call(self, index: int) -> _HeldCall:
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _HeldCall(index, f"{self._path}.tool_calls[{index}]", self._rules)
        return call

    def _as_it_goes_on(self, finish_reason: FinishReason | None) -> Choice:
        message = AnswerMessage(content=self._content.passed or None, refusal=self._refusal.passed or None)
        message.tool_calls = [self._calls[index].whole() for index in sorted(self._calls)]
        return Choice(self.index, message, finish_reason, filtered=self.filtered)

    def _must_block(self) -> bool:
        self._watched = self._watch()  # before the end is told, since a guard that fails may have a say in it
        return (
            self._rules.too_long
            or self._rules.scan.refused
            or any(held.blocked for held in self.texts())
            or any(finding.enforced and finding.action == "block" for finding in self.form_findings)
        )

    def _watch(self) -> list[list[Finding]]:
        return self._rules.watch(self.texts())

    def _end(self, finish_reason: FinishReason | None, *, blocked: bool) -> None:
        self.ended = True
        self.blocked = blocked
        self.finish_reason = finish_reason
        if self._watched is None:
            self._watched = self._watch()


class _HeldCall:
    """One tool call of a choice."""

    def __init__(self, index: int, path: str, rules: AnswerRules) -> None:
        self._index = index
        self._rules = rules
        self._id = rules.text(f"{path}.id", "name", rules.call_reach)
        self._name = rules.text(f"{path}.function.name", "name", rules.call_reach)
        self._arguments = rules.text(f"{path}.function.arguments", "json", rules.call_reach)

    @property
    def texts(self) -> tuple[HeldText, ...]:
        return self._id, self._name, self._arguments

    def take(self, part: ToolCallDelta) -> ToolCallDelta:
        """Take in a delta of the call; answers what may leave of it."""
        function = part.function or FunctionDelta()
        fragments = (part.id, function.name, function.arguments)
        identifier, name, arguments = (
            None if fragment is None else self._rules.take(held, fragment)
            for held, fragment in zip(self.texts, fragments, strict=True)
        )
        return ToolCallDelta(
            self._index,
            identifier,
            None if part.type is None else "function",
            None if part.function is None else FunctionDelta(name, arguments),
        )

    def finish(self) -> ToolCallDelta:
        """The call is complete; answers what may leave of it."""
        identifier, name, arguments = (held.finish() for held in self.texts)
        rules = self._rules
        if rules.masks is not None and rules.unmasking.tool_arguments:
            arguments = unmask_json(arguments, rules.masks, links=rules.unmasking.links)
        return ToolCallDelta(self._index, identifier, "function", FunctionDelta(name, arguments))

    def whole(self) -> AnswerToolCall:
        """The call as it goes on."""
        identifier, name, arguments = (held.passed for held in self.texts)
        return AnswerToolCall(identifier, AnswerFunction(name, arguments))


def _is_whole(reach: Reach | None) -> bool:
    return reach is not None and reach.characters is None


def _joined(first: Delta, second: Delta) -> Delta:
    """Two deltas of one choice as one."""
    return Delta(
        role=first.role,
        content=_together(first.content, second.content),
        refusal=_together(first.refusal, second.refusal),
        tool_calls=[*(first.tool_calls or ()), *(second.tool_calls or ())] or None,
    )


def _together(first: str | None, second: str | None) -> str | None:
    return first if second is None else (first or "") + second
