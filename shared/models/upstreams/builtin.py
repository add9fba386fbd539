"""The stand-in model: answers at once, without any account, and says in every answer that it is no AI.

It follows the protocol so far that clients can be tried on it: tools, JSON answers, stop sequences,
several choices, token caps and streams. Its tokens are counted, not made: four characters of text are
one token, rounded up for each text; a prompt counts its messages' text, an answer its content and the
names and arguments of its tool calls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.errors import BadRequest
from shared.models.upstreams.instance import NoInstance, smallest_instance
from shared.models.upstreams.port import CallContext
from shared.models.wire import (
    AnswerFunction,
    AnswerMessage,
    AnswerToolCall,
    ChatChunk,
    ChatCompletion,
    ChatRequest,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    FunctionDefinition,
    FunctionDelta,
    JsonObjectFormat,
    JsonSchemaFormat,
    Message,
    NamedTool,
    SoleTextPart,
    TextPart,
    TokenUsage,
    ToolCallDelta,
    ToolMessage,
    UserMessage,
)

MODEL = "wardgate-builtin-1"
NOTICE = "This is Wardgate's built-in stand-in model, not an AI."
_FINGERPRINT = "fp_wardgate_builtin_1"
_CHARACTERS_PER_TOKEN = 4
_ECHO = 4000
"""Most characters of the prompt that an answer repeats."""
_DELTA = 24
"""Characters of one streamed delta."""


class _Answer(Struct, frozen=True):
    """What every choice of one answer says: text, or the call of a tool."""

    text: str
    finish: FinishReason
    tool: str | None = None

    @property
    def tokens(self) -> int:
        return _tokens(self.text) + _tokens(self.tool or "")


class BuiltinUpstream:
    """The stand-in model. The target's own model name is of no account: there is one model."""

    def complete(self, request: ChatRequest, model: str, context: CallContext) -> ChatCompletion:
        """The whole answer."""
        answer, count = _answer(request), request.n or 1
        return ChatCompletion(
            id=_new_id("chatcmpl-"),
            choices=[Choice(index, _message(answer), answer.finish) for index in range(count)],
            created=int(time.time()),
            model=MODEL,
            usage=_usage(request, answer, count),
            system_fingerprint=_FINGERPRINT,
        )

    def stream(self, request: ChatRequest, model: str, context: CallContext) -> Generator[ChatChunk, None, None]:
        """The answer in several deltas, the choices side by side."""
        answer, count = _answer(request), request.n or 1
        identity, created = _new_id("chatcmpl-"), int(time.time())

        def chunk(choices: list[ChunkChoice], usage: TokenUsage | None = None) -> ChatChunk:
            made = ChatChunk(identity, choices, created, MODEL, system_fingerprint=_FINGERPRINT)
            if usage is not None:
                made.usage = usage
            return made

        for delta in _deltas(answer):
            for index in range(count):
                context.cancel.check()
                yield chunk([ChunkChoice(index, delta)])
        for index in range(count):
            yield chunk([ChunkChoice(index, Delta(), answer.finish)])
        if request.stream_options is not None and request.stream_options.include_usage:
            yield chunk([], _usage(request, answer, count))


def _answer(request: ChatRequest) -> _Answer:
    tool = _chosen_tool(request)
    if tool is not None:
        arguments = _instance(tool.parameters or {"type": "object"}, "tools")
        return _capped(_Answer(arguments, "tool_calls", tool.name), request)
    match request.response_format:
        case JsonSchemaFormat(json_schema) if json_schema.schema is not None:
            return _capped(
                _Answer(_instance(json_schema.schema, "response_format.json_schema.schema"), "stop"), request
            )
        case JsonObjectFormat() | JsonSchemaFormat():
            said = {"model": MODEL, "notice": NOTICE, "asked": _asked(request.messages)}
            return _capped(_Answer(msgspec.json.encode(said).decode(), "stop"), request)
    answer = _Answer(f"{NOTICE} It was asked: {_asked(request.messages)}", "stop")
    return _capped(_stopped(answer, request), request)


def _chosen_tool(request: ChatRequest) -> FunctionDefinition | None:
    """The tool to call: the one named, else the first; by itself it calls one only after the user has spoken."""
    if not request.tools or request.tool_choice == "none":
        return None
    if isinstance(request.tool_choice, NamedTool):
        name = request.tool_choice.function.name
        for tool in request.tools:
            if tool.function.name == name:
                return tool.function
        raise BadRequest("The tool is not among 'tools'.", code="invalid_value", param="tool_choice")
    if request.tool_choice == "required" or isinstance(request.messages[-1], UserMessage):
        return request.tools[0].function
    return None


def _instance(schema: dict[str, object], param: str) -> str:
    try:
        return msgspec.json.encode(smallest_instance(schema, MODEL)).decode()
    except NoInstance as error:
        raise BadRequest(
            f"The built-in model cannot answer to this schema: {error}.", code="invalid_json_schema", param=param
        ) from error


def _asked(messages: list[Message]) -> str:
    """The text that the answer repeats: the last message of a user or a tool."""
    for message in reversed(messages):
        if isinstance(message, UserMessage | ToolMessage):
            return _text(message)[:_ECHO]
    return ""


def _text(message: Message) -> str:
    content = message.content
    if isinstance(content, list):
        return "\n".join(part.text for part in content if isinstance(part, TextPart | SoleTextPart))
    return content or ""


def _stopped(answer: _Answer, request: ChatRequest) -> _Answer:
    """The answer before the first stop sequence in it."""
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    ends = [at for stop in stops if stop and (at := answer.text.find(stop)) >= 0]
    return replace(answer, text=answer.text[: min(ends)]) if ends else answer


def _capped(answer: _Answer, request: ChatRequest) -> _Answer:
    """The answer within the tokens that the request allows."""
    caps = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap is not None]
    if not caps or answer.tokens <= min(caps):
        return answer
    room = max(min(caps) - _tokens(answer.tool or ""), 0)
    return replace(answer, text=answer.text[: room * _CHARACTERS_PER_TOKEN], finish="length")


def _message(answer: _Answer) -> AnswerMessage:
    if answer.tool is None:
        return AnswerMessage(content=answer.text)
    call = AnswerToolCall(_new_id("call_"), AnswerFunction(answer.tool, answer.text))
    return AnswerMessage(tool_calls=[call])


def _deltas(answer: _Answer) -> Iterator[Delta]:
    pieces = [answer.text[at : at + _DELTA] for at in range(0, len(answer.text), _DELTA)]
    if answer.tool is None:
        yield Delta(role="assistant", content="")
        yield from (Delta(content=piece) for piece in pieces)
        return
    start = ToolCallDelta(0, _new_id("call_"), "function", FunctionDelta(answer.tool, ""))
    yield Delta(role="assistant", tool_calls=[start])
    yield from (Delta(tool_calls=[ToolCallDelta(0, function=FunctionDelta(arguments=piece))]) for piece in pieces)


def _usage(request: ChatRequest, answer: _Answer, count: int) -> TokenUsage:
    prompt = sum(_tokens(_text(message)) for message in request.messages)
    return TokenUsage(prompt, answer.tokens * count, prompt + answer.tokens * count)


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def _new_id(prefix: str) -> str:
    return prefix + os.urandom(12).hex()
