"""Guards a streamed answer: chunks go in as the model sends them and come out as far as they are safe.

Content and refusals leave behind the hold-back of the guards that act (block or redact). Where JSON was
asked for, and for every tool call, nothing leaves before all of it is there and valid, since half of it
can be neither judged nor used. A guard that only flags, or is in monitor mode, holds nothing back: it
looks once, when its choice ends. A block ends the choice with ``finish_reason: content_filter``.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from shared.guards.answer import Assembler
from shared.guards.choices import AnswerRules, HeldChoice
from shared.guards.inspection import AnswerInspection
from shared.guards.pipeline import Pipeline
from shared.guards.port import Background
from shared.models.wire import ChatChunk, ChatCompletion, ChatRequest, ChunkChoice, Delta

_NOTHING = Delta()


class AnswerStream:
    """One streamed answer on its way to the client. Not for several threads.

    Args:
        pipeline: The guards.
        request: The request that is being answered, as it went on to the model.
        background: What else is known of it; None: nothing.
    """

    def __init__(self, pipeline: Pipeline, request: ChatRequest, background: Background | None = None) -> None:
        self._rules = AnswerRules(pipeline, request, background or Background(request))
        self._asked_for = request.n or 1
        self._assembler = Assembler()
        self._choices: dict[int, HeldChoice] = {}
        self._last: ChatChunk | None = None

    @property
    def hold_back(self) -> int | Literal["whole"]:
        """The most characters of the content that are held back; tool calls may be held longer."""
        reach = self._rules.content_reach
        if reach is None:
            return 0
        if reach.characters is None:
            return "whole"
        return reach.most if reach.tail else reach.characters

    @property
    def blocked(self) -> bool:
        """Whether every choice that was asked for has been blocked: nothing of what may still come will leave."""
        return len(self._choices) >= self._asked_for and all(choice.blocked for choice in self._choices.values())

    def feed(self, chunk: ChatChunk) -> list[ChatChunk]:
        """Take in the model's next chunk; answers what may leave, which can be nothing."""
        self._last = chunk
        if not chunk.choices:
            return self._sent([chunk])
        deltas: list[ChunkChoice] = []
        ends: list[ChunkChoice] = []
        for choice in chunk.choices:
            held = self._held(choice.index)
            if not held.ended:
                _put(held, held.take(choice.delta, choice.finish_reason, choice.filtered or ()), deltas, ends)
        return self._sent(_chunks(chunk, deltas, ends))

    def finish(self) -> list[ChatChunk]:
        """The model's stream is over; answers what is left of choices that it did not end."""
        if self._last is None:
            return []
        deltas: list[ChunkChoice] = []
        ends: list[ChunkChoice] = []
        for held in self._choices.values():
            if not held.ended:
                _put(held, held.close(None), deltas, ends)
        return self._sent(_chunks(replace(self._last, choices=[], usage=UNSET), deltas, ends))

    def inspection(self) -> AnswerInspection:
        """What the guards made of the answer, as far as it came, with the completion that the client holds."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        findings = [finding for choice in choices for finding in choice.text_findings()]
        findings += self._rules.oversize()
        findings += [finding for choice in choices for finding in choice.form_findings]
        completion, scan, expected = self.completion, self._rules.scan, self._rules.expected
        sent = self._rules.count([text for choice in choices for text in choice.texts()])
        text = kept = Pipeline.text_of(completion, expected)
        if self._rules.masks is not None:
            kept = Pipeline.text_of(replace(completion, choices=[choice.masked() for choice in choices]), expected)
        return scan.of_answer(findings, completion, text=text, kept=kept, forwarded=sent)

    @property
    def completion(self) -> ChatCompletion:
        """The answer as the client can put it together from what was sent."""
        return self._assembler.completion()

    def _held(self, index: int) -> HeldChoice:
        held = self._choices.get(index)
        if held is None:
            held = self._choices[index] = HeldChoice(index, self._rules)
        return held

    def _sent(self, chunks: list[ChatChunk]) -> list[ChatChunk]:
        for chunk in chunks:
            self._assembler.add(chunk)
        return chunks


def _put(held: HeldChoice, delta: Delta, deltas: list[ChunkChoice], ends: list[ChunkChoice]) -> None:
    """Queue what a choice lets go; its end comes after its text."""
    if delta != _NOTHING:
        deltas.append(ChunkChoice(held.index, delta))
    if held.ended and held.finish_reason is not None:
        ends.append(ChunkChoice(held.index, Delta(), held.finish_reason, filtered=held.filtered))


def _chunks(chunk: ChatChunk, deltas: list[ChunkChoice], ends: list[ChunkChoice]) -> list[ChatChunk]:
    """``chunk`` with other choices: texts first, then ends; its usage stays with the last of them."""
    groups = [group for group in (deltas, ends) if group]
    if not groups:
        if not chunk.usage:
            return []
        groups = [[ChunkChoice(choice.index, Delta()) for choice in chunk.choices[:1]]]
    before = None if chunk.usage else chunk.usage
    return [replace(chunk, choices=group, usage=chunk.usage if group is groups[-1] else before) for group in groups]
