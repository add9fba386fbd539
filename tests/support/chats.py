"""Short ways to write requests, answers and streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

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
    FunctionDelta,
    ToolCallDelta,
)


def chat(*prompts: str, **fields: Any) -> ChatRequest:
    """A request with a user message for each prompt, read as a caller's JSON is."""
    messages = fields.pop("messages", None) or [{"role": "user", "content": prompt} for prompt in prompts]
    return msgspec.convert({"model": "default", "messages": messages, **fields}, ChatRequest)


def tool(name: str, **function: Any) -> dict[str, Any]:
    """A tool's declaration, as JSON."""
    return {"type": "function", "function": {"name": name, **function}}


def answer(content: str | None = None, *, calls: Sequence[tuple[str, str]] = (), **fields: Any) -> ChatCompletion:
    """An answer with one choice; ``calls`` are names and arguments."""
    message = AnswerMessage(content=content, refusal=fields.pop("refusal", None))
    if calls:
        message.tool_calls = [
            AnswerToolCall(f"call_{index}", AnswerFunction(name, arguments))
            for index, (name, arguments) in enumerate(calls)
        ]
    return ChatCompletion("chatcmpl-1", [Choice(0, message, fields.pop("finish_reason", "stop"))], 1, "default")


def chunk(delta: Delta | None = None, finish_reason: Any = None, *, index: int = 0, **fields: Any) -> ChatChunk:
    """One event of a stream with one choice."""
    return ChatChunk("chatcmpl-1", [ChunkChoice(index, delta or Delta(), finish_reason)], 1, "default", **fields)


def stream_of(
    fragments: Iterable[str], *, calls: Iterable[ToolCallDelta] = (), finish_reason: str = "stop"
) -> list[ChatChunk]:
    """A stream as servers send it: the role, the texts, the tool calls, and the end."""
    return [
        chunk(Delta(role="assistant", content="")),
        *(chunk(Delta(content=fragment)) for fragment in fragments),
        *(chunk(Delta(tool_calls=[call])) for call in calls),
        chunk(finish_reason=finish_reason),
    ]


def call_delta(
    index: int, name: str | None = None, arguments: str | None = None, identifier: str | None = None
) -> ToolCallDelta:
    """A part of a tool call."""
    return ToolCallDelta(index, identifier, "function" if identifier else None, FunctionDelta(name, arguments))
