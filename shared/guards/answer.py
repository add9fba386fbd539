"""The answer as a client holds it: put together from a stream, and reduced to the digest that a receipt names.

The digest is SHA-256 over the canonical choices: a JSON array with one object per choice, by ``index``::

    {"content": "", "finish_reason": "stop", "index": 0, "refusal": "",
     "tool_calls": [{"arguments": "{}", "id": "call_1", "name": "lookup"}]}

written as RFC 8785 says (UTF-8, no spaces, keys sorted, only what must be is escaped). A text that is
null or missing is the empty string, missing tool calls are the empty array, and a missing finish reason
is null; so an assembled stream and a plain answer that say the same share one digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from msgspec import UNSET, Struct, UnsetType, field

from shared.models.wire import (
    AnswerFunction,
    AnswerMessage,
    AnswerToolCall,
    Approval,
    ChatChunk,
    ChatCompletion,
    Choice,
    Delta,
    FinishReason,
    TokenUsage,
)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def canonical_choices(choices: Sequence[Choice]) -> bytes:
    """The canonical choices of an answer, as the module's head defines them."""
    canonical = [
        {
            "content": choice.message.content or "",
            "finish_reason": choice.finish_reason,
            "index": choice.index,
            "refusal": choice.message.refusal or "",
            "tool_calls": [
                {"arguments": call.function.arguments, "id": call.id, "name": call.function.name}
                for call in choice.message.tool_calls or ()
            ],
        }
        for choice in sorted(choices, key=lambda choice: choice.index)
    ]
    return _encode(canonical).encode()


def answer_digest(completion: ChatCompletion) -> str:
    """SHA-256 of the canonical choices, in lower-case hex."""
    return hashlib.sha256(canonical_choices(completion.choices)).hexdigest()


def awaiting_approval(completion: ChatCompletion) -> tuple[str, ...]:
    """The ids of the tool calls in an answer that wait for somebody's consent."""
    calls = (call for choice in completion.choices for call in choice.message.tool_calls or ())
    return tuple(call.id for call in calls if call.approval)


def assemble(chunks: Iterable[ChatChunk]) -> ChatCompletion:
    """The answer that a stream's chunks make up; without a chunk it has no choices and no id."""
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.completion()


class Assembler:
    """Puts an answer together from chunks, as they come."""

    def __init__(self) -> None:
        self._first: ChatChunk | None = None
        self._usage: TokenUsage | UnsetType | None = UNSET
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: ChatChunk) -> None:
        """Take in the next chunk."""
        self._first = self._first or chunk
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = _Choice()
            state.add(choice.delta)
            state.finish_reason = choice.finish_reason or state.finish_reason

    def completion(self) -> ChatCompletion:
        """The answer so far."""
        first = self._first or ChatChunk(id="", choices=[], created=0, model="")
        return ChatCompletion(
            id=first.id,
            choices=[self._choices[index].choice(index) for index in sorted(self._choices)],
            created=first.created,
            model=first.model,
            usage=self._usage,
            system_fingerprint=first.system_fingerprint,
        )


class _ToolCall(Struct):
    id: str = ""
    name: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    approval: Approval | UnsetType = UNSET


class _Choice(Struct):
    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tool_calls: dict[int, _ToolCall] = field(default_factory=dict)
    finish_reason: FinishReason | None = None

    def add(self, delta: Delta) -> None:
        if delta.content:
            self.content.append(delta.content)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        for part in delta.tool_calls or ():
            call = self.tool_calls.setdefault(part.index, _ToolCall())
            call.id = part.id or call.id
            call.approval = part.approval or call.approval
            if part.function is not None:
                call.name.append(part.function.name or "")
                call.arguments.append(part.function.arguments or "")

    def choice(self, index: int) -> Choice:
        calls = [
            AnswerToolCall(call.id, AnswerFunction("".join(call.name), "".join(call.arguments)), approval=call.approval)
            for _, call in sorted(self.tool_calls.items())
        ]
        message = AnswerMessage(content="".join(self.content) or None, refusal="".join(self.refusal) or None)
        if calls:
            message.tool_calls = calls
        return Choice(index, message, self.finish_reason)
