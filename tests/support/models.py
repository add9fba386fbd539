"""Small things that tests of the model room share: requests, contexts, an upstream that does as it is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from typing import Any

import msgspec

from shared.models.upstreams.port import CallContext
from shared.models.wire import (
    AnswerMessage,
    ChatChunk,
    ChatCompletion,
    ChatRequest,
    Choice,
    ChunkChoice,
    Delta,
)
from shared.web.http_client import Cancellation


def chat(text: str = "What is a penguin?", **fields: Any) -> ChatRequest:
    """A request with one user message, unless ``messages`` says otherwise."""
    body = {"model": "default", "messages": [{"role": "user", "content": text}], **fields}
    return msgspec.convert(body, ChatRequest)


def context(seconds: float = 5.0, *, cancel: Cancellation | None = None) -> CallContext:
    """A context whose time is over in so many seconds."""
    end = time.monotonic() + seconds
    return CallContext("req_test", end, end, cancel or Cancellation())


def completion(content: str = "hello", model: str = "m-1") -> ChatCompletion:
    """A whole answer."""
    return ChatCompletion("chatcmpl-1", [Choice(0, AnswerMessage(content=content), "stop")], 1, model)


def chunks(*pieces: str, model: str = "m-1") -> list[ChatChunk]:
    """A streamed answer."""
    said = [ChunkChoice(0, Delta(content=piece)) for piece in pieces]
    return [ChatChunk("chatcmpl-1", [choice], 1, model) for choice in (*said, ChunkChoice(0, Delta(), "stop"))]


class Told:
    """An upstream that gives or raises what it is told, one item per call; a list is streamed."""

    def __init__(self, outcomes: Iterable[Any], *, takes: Callable[[CallContext], None] = lambda _: None) -> None:
        """
        Args:
            outcomes: What each call gives: an answer, a list of chunks and errors, or an error to raise.
            takes: Called with each call's context, to let time pass.
        """
        self._outcomes = iter(outcomes)
        self._takes = takes
        self.calls: list[tuple[ChatRequest, str, CallContext]] = []
        self.closed = 0

    def complete(self, request: ChatRequest, model: str, context: CallContext) -> ChatCompletion:
        return self._next(request, model, context)

    def stream(self, request: ChatRequest, model: str, context: CallContext) -> Generator[ChatChunk, None, None]:
        outcome = self._next(request, model, context)
        try:
            for item in outcome:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed += 1

    def _next(self, request: ChatRequest, model: str, context: CallContext) -> Any:
        self.calls.append((request, model, context))
        self._takes(context)
        outcome = next(self._outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
