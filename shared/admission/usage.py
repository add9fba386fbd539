"""What a request may use at most, before it runs, and what a text amounts to where no upstream counts it.

The estimate never reserves too few tokens, for any byte-level tokenizer: each token stands for at least
one byte of the text, so the bytes are an upper bound (for English about four times the tokens). The
prompt is measured as JSON, whose names and braces around each message are longer than the marks that
chat templates put there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from shared.admission.port import Usage
from shared.models.wire import (
    AudioPart,
    ChatChunk,
    ChatCompletion,
    ChatRequest,
    Choice,
    FilePart,
    ImagePart,
    UserMessage,
)
from shared.policy.prices import cost_of
from shared.policy.types import ModelAlias, Price

_FRAME_TOKENS = 64
"""Marks around a whole conversation, and what servers put around the declarations of tools."""

_CANARY_TOKENS = 96
"""What a guard may plant at the end of the policy's system prompt."""

_BYTES_PER_TOKEN = 16
"""No natural text has so many bytes to a token on the average; used where a bound from below is needed."""

_encode = msgspec.json.Encoder().encode


def estimate(request: ChatRequest, alias: ModelAlias) -> Usage:
    """The most that a request can use.

    Args:
        request: As the caller sent it.
        alias: The model that it asks for.
    """
    asked = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap is not None]
    answer = min([*asked, alias.max_output_tokens]) * (request.n or 1)
    return _priced(Usage(1, _prompt_tokens(request, alias), answer), alias.price)


def counted(text: str) -> int:
    """The most tokens that a text can be."""
    return len(text.encode("utf-8", "surrogatepass"))


def used(estimated: Usage, alias: ModelAlias, prompt_tokens: int, completion_tokens: int) -> Usage:
    """What a request has used, as an upstream counted it."""
    return _priced(replace(estimated, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens), alias.price)


def uncounted(estimated: Usage, alias: ModelAlias, answer: int) -> Usage:
    """What a request has used at most, where the upstream that got it did not count.

    Args:
        estimated: What was reserved.
        alias: The model.
        answer: The most tokens that the answer can be, as ``counted`` says of its texts.
    """
    return used(estimated, alias, estimated.prompt_tokens, min(answer, estimated.completion_tokens))


def texts_of(answer: ChatCompletion | ChatChunk) -> Iterator[str]:
    """The texts of an answer or of a part of one, tool calls among them."""
    for choice in answer.choices:
        said = choice.message if isinstance(choice, Choice) else choice.delta
        for text in (said.content, said.refusal):
            if text:
                yield text
        for call in said.tool_calls or ():
            for text in (call.function.name, call.function.arguments) if call.function is not None else ():
                if text:
                    yield text


class OutputAllowance:
    """How much of an answer is still paid for. Not thread-safe: a stream is read by one thread.

    What has arrived is counted from below, so that no stream is ended that keeps to what it was asked for:
    each delta is a token at least, and 16 bytes are one.

    Args:
        tokens: What was reserved for the answer.
    """

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self._bytes = 0

    def spend(self, text: str) -> bool:
        """Note one delta of the answer; whether all so far, with it, may still be spent."""
        if not text:
            return self._tokens >= 0
        whole, self._bytes = divmod(self._bytes + counted(text), _BYTES_PER_TOKEN)
        self._tokens -= max(1, whole)
        return self._tokens >= 0


def _prompt_tokens(request: ChatRequest, alias: ModelAlias) -> int:
    parts = [request.messages, request.tools, request.tool_choice, request.response_format, alias.system_prompt]
    tokens = (
        _FRAME_TOKENS
        + (_CANARY_TOKENS if alias.system_prompt is not None else 0)
        + sum(len(_encode(part)) for part in parts if part is not None)
    )
    tokens += _unreadable(request) * alias.context_tokens
    return min(tokens, alias.context_tokens)


def _unreadable(request: ChatRequest) -> int:
    """Parts whose tokens cannot be told from their bytes."""
    return sum(
        isinstance(part, ImagePart | AudioPart | FilePart)
        for message in request.messages
        if isinstance(message, UserMessage) and not isinstance(message.content, str)
        for part in message.content
    )


def _priced(usage: Usage, price: Price | None) -> Usage:
    if price is None:
        return usage
    return replace(usage, cost=cost_of(price, usage.prompt_tokens, usage.completion_tokens))
