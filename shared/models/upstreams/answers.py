"""What servers with OpenAI's API really send, read leniently and turned into Wardgate's wire types.

Only what is read here goes on: reasoning, log probabilities, annotations and whatever else a server
adds are dropped, since no guard would see them. Identifiers that are not plain are replaced, so that
none of them can carry text.

Known departures that are understood: Gemini leaves out ``message`` of a filtered choice,
``completion_tokens``, and the ``index`` of streamed tool calls, ends streamed tool calls with ``stop``,
and names its filters in ``finish_reason`` ("content_filter: PROHIBITED_CONTENT", "SAFETY").
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from shared.errors import ContentFiltered
from shared.models.wire import (
    AnswerFunction,
    AnswerMessage,
    AnswerToolCall,
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Delta,
    Filtered,
    FinishReason,
    FunctionDelta,
    TokenUsage,
    ToolCallDelta,
)

_PLAIN = re.compile(r"[A-Za-z0-9._:/@-]{1,128}\Z")
_MAX_TOKENS = 10**9

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "language": "content_filter",
    "refusal": "content_filter",
}


_FILTERED: dict[str, Filtered] = {
    "hate": "hate",
    "sexual": "sexual",
    "violence": "violence",
    "self_harm": "self_harm",
    "jailbreak": "jailbreak",
    "profanity": "profanity",
    "custom_blocklists": "blocklist",
    "protected_material_text": "protected_material",
    "protected_material_code": "protected_material",
    "safety": "safety",
    "recitation": "recitation",
    "blocklist": "blocklist",
    "prohibited_content": "prohibited",
    "spii": "personal_data",
    "language": "language",
}
"""Providers' names of what their filters find."""


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: Any = None
    completion_tokens_details: Any = None


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct):
    index: int | None = None
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None
    content_filter_results: Any = None


class _PromptFeedback(Struct):
    block_reason: str | None = field(default=None, name="blockReason")


class Answer(Struct):
    """An answer, or one event of a streamed one, as a server sends it."""

    id: str | None = None
    choices: list[_Choice] | None = None
    created: float | None = None
    model: str | None = None
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: Any = None
    prompt_feedback: _PromptFeedback | None = field(default=None, name="promptFeedback")


class NotUnderstood(ValueError):
    """The answer is JSON, but not an answer."""


def completion_of(answer: Answer, count: int) -> ChatCompletion:
    """The answer as a completion of at most ``count`` choices.

    Raises:
        ContentFiltered: The provider blocked the prompt.
        NotUnderstood: It has no choice.
    """
    _refuse_blocked(answer)
    if not answer.choices:
        raise NotUnderstood("the answer has no choices")
    return ChatCompletion(
        id=_plain(answer.id, "chatcmpl-"),
        choices=[_choice(index, choice) for index, choice in enumerate(answer.choices[:count])],
        created=_created(answer),
        model=_model(answer),
        usage=_usage(answer.usage),
        system_fingerprint=_fingerprint(answer),
    )


class ChunkReader:
    """Turns the events of one stream into chunks; it remembers which tool calls have begun."""

    def __init__(self, count: int) -> None:
        """
        Args:
            count: How many choices were asked for.
        """
        self._count = count
        self._calls: dict[int, int] = {}
        """By choice, how many tool calls have begun."""
        self._id: str | None = None

    def chunk_of(self, answer: Answer) -> ChatChunk | None:
        """The event as a chunk; None where it holds nothing that goes on.

        Raises:
            ContentFiltered: The provider blocked the prompt.
            NotUnderstood: It holds a choice that was not asked for.
        """
        _refuse_blocked(answer)
        choices = [self._choice(choice) for choice in answer.choices or []]
        if not choices and answer.usage is None:
            return None
        self._id = self._id or _plain(answer.id, "chatcmpl-")
        return ChatChunk(
            id=self._id,
            choices=choices,
            created=_created(answer),
            model=_model(answer),
            usage=_usage(answer.usage),
            system_fingerprint=_fingerprint(answer),
        )

    def _choice(self, choice: _Choice) -> ChunkChoice:
        index = choice.index or 0
        if not 0 <= index < self._count:
            raise NotUnderstood("the stream holds a choice that was not asked for")
        said = choice.delta or _Message()
        calls = [self._tool_call(index, call) for call in said.tool_calls or []]
        return ChunkChoice(
            index,
            Delta(
                role="assistant" if said.role else None,
                content=said.content,
                refusal=said.refusal,
                tool_calls=calls or None,
            ),
            _finish_reason(choice.finish_reason, called=index in self._calls),
            filtered=_filtered(choice),
        )

    def _tool_call(self, choice: int, call: _ToolCall) -> ToolCallDelta:
        begun = self._calls.get(choice, 0)
        function = call.function or _Function()
        begins = bool(call.id or function.name)
        index = call.index
        if index is None:
            index = begun if begins else max(begun - 1, 0)
        if not 0 <= index <= begun:
            raise NotUnderstood("the stream holds a tool call out of order")
        new = index == begun
        if new:
            self._calls[choice] = begun + 1
        return ToolCallDelta(
            index,
            _plain(call.id, "call_") if new else None,
            "function" if new else None,
            FunctionDelta(function.name or None, function.arguments),
        )


def plain_header(value: str) -> str:
    """``value`` as far as it can go into a header: printable ASCII, at most 128 characters."""
    return re.sub(r"[^\x21-\x7e]", "?", value[:128])


def _choice(index: int, choice: _Choice) -> Choice:
    said = choice.message or _Message()
    calls = [_tool_call(call) for call in said.tool_calls or []]
    return Choice(
        index,
        AnswerMessage(content=said.content, refusal=said.refusal, tool_calls=calls or UNSET),
        _finish_reason(choice.finish_reason, called=bool(calls)) or "stop",
        filtered=_filtered(choice),
    )


def _tool_call(call: _ToolCall) -> AnswerToolCall:
    if call.function is None or not call.function.name:
        raise NotUnderstood("a tool call names no function")
    return AnswerToolCall(_plain(call.id, "call_"), AnswerFunction(call.function.name, call.function.arguments or "{}"))


def _finish_reason(given: str | None, *, called: bool) -> FinishReason | None:
    """OpenAI's name for why a choice ended; None while it goes on, ``stop`` for a reason that is not known."""
    if not given:
        return None
    name = _reason_name(given.partition(":")[0])
    reason = _FINISH_REASONS.get(name, "stop")
    return "tool_calls" if called and reason == "stop" else reason


def _reason_name(given: str) -> str:
    return given.strip().lower().removeprefix("finish_reason_").removeprefix("image_")


def _filtered(choice: _Choice) -> list[Filtered] | UnsetType:
    """What the provider's filter found: Azure's ``content_filter_results``, or the name in Gemini's finish reason."""
    results = choice.content_filter_results
    names = [name for name, result in results.items() if _is_filtered(result)] if isinstance(results, dict) else []
    names += [_reason_name(part) for part in (choice.finish_reason or "").split(":")]
    found = sorted({_FILTERED[name] for name in names if name in _FILTERED})
    return found or UNSET


def _is_filtered(result: Any) -> bool:
    return isinstance(result, dict) and (result.get("filtered") is True or result.get("detected") is True)


def _refuse_blocked(answer: Answer) -> None:
    if not answer.choices and answer.prompt_feedback is not None and answer.prompt_feedback.block_reason:
        raise ContentFiltered("The provider's filter stopped the prompt.")


def _usage(usage: _Usage | None) -> TokenUsage | UnsetType:
    if usage is None:
        return UNSET
    prompt, completion = _count(usage.prompt_tokens), _count(usage.completion_tokens)
    return TokenUsage(
        prompt,
        completion,
        _count(usage.total_tokens) or prompt + completion,
        _details(usage.prompt_tokens_details),
        _details(usage.completion_tokens_details),
    )


def _count(value: int | None) -> int:
    return min(max(value or 0, 0), _MAX_TOKENS)


_DETAILS = frozenset(
    {"audio_tokens", "cached_tokens", "reasoning_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"}
)


def _details(details: object) -> dict[str, int | None] | None:
    if not isinstance(details, dict):
        return None
    return {name: _count(value) for name, value in details.items() if name in _DETAILS and type(value) is int} or None


def _created(answer: Answer) -> int:
    return int(answer.created) if answer.created and 0 < answer.created < 2**53 else int(time.time())


def _model(answer: Answer) -> str:
    return plain_header(answer.model or "unknown")


def _fingerprint(answer: Answer) -> str | UnsetType:
    given = answer.system_fingerprint
    return given if given and _PLAIN.match(given) else UNSET


def _plain(given: str | None, prefix: str) -> str:
    return given if given and _PLAIN.match(given) else prefix + os.urandom(12).hex()
