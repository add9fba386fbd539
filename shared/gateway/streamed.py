"""The body of a streamed answer: guarded chunk by chunk, settled and recorded before its last byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from flask import Response
from msgspec import UNSET, UnsetType

from shared.admission.usage import OutputAllowance, counted, texts_of
from shared.errors import ApiError
from shared.gateway.exchange import Exchange
from shared.gateway.once import Once
from shared.guards.port import Background
from shared.guards.stream import AnswerStream as GuardedAnswer
from shared.models.client import AnswerStream as ModelAnswer
from shared.models.wire import ChatChunk, ChunkChoice, Delta, TokenUsage
from shared.web.http_client import CallCancelled
from shared.web.log import log
from shared.web.responses import error_body
from shared.web.sse import DONE, encode_comment, encode_event

_CONTENT_TYPE = "text/event-stream"


class StreamedAnswer:
    """A response's body. ``close`` ends what was begun, also where no byte was ever asked for.

    Args:
        exchange: Ends with the stream, however that ends.
        once: Keeps the stream for a retry under the same ``Idempotency-Key``.
        upstream: The model's chunks; their first one has arrived.
        background: What is known of the request as it went on to the model.
        scopes: What the kill switch may end it by.
        wants_usage: Whether the caller asked for the chunk that counts tokens.
    """

    def __init__(
        self,
        exchange: Exchange,
        once: Once,
        upstream: ModelAnswer,
        background: Background,
        *,
        scopes: tuple[str, ...],
        wants_usage: bool,
    ) -> None:
        self._exchange = exchange
        self._once = once
        self._upstream = upstream
        self._guarded = GuardedAnswer(exchange.pipeline, background.request, background)
        self._wants_usage = wants_usage
        self._choices = background.request.n or 1
        self._allowance = OutputAllowance(exchange.estimate.completion_tokens if exchange.estimate else 0)
        self._scopes = scopes
        self._notice: str | UnsetType = exchange.pipeline.notice or UNSET
        """Until it is told."""

        self._called: dict[tuple[int, int], str] = {}
        """The name of each tool call, by choice and place, as far as it has come."""

        exchange.answered_by(upstream.upstream, upstream.upstream_model)
        exchange.answer_bytes = 0

    def start(self) -> None:
        """Record the beginning, so that no byte leaves without it.

        Raises:
            ServiceUnavailable: That failed, and the policy says ``fail_close``; the model's work is ended.
        """
        try:
            self._exchange.start()
        except BaseException:
            self._upstream.close()
            raise

    def response(self, headers: Mapping[str, str]) -> Response:
        """The response that this is the body of."""
        return Response(
            self,
            headers={**headers, "cache-control": "no-store", "wardgate-hold-back": str(self._guarded.hold_back)},
            content_type=_CONTENT_TYPE,
            direct_passthrough=True,
        )

    def __iter__(self) -> Iterator[bytes]:
        ready = b""
        """What has passed the guards while more was here already: written at once, since each write costs."""
        try:
            for chunk in self._chunks():
                if chunk is not None:
                    event = encode_event(msgspec.json.encode(chunk))
                    self._once.keep(event)
                    ready += event
                elif ready:
                    yield ready
                    ready = b""
            ending = self._end()
            self._once.keep(ending)
            self._once.streamed(_CONTENT_TYPE)
            yield ready + ending
        except CallCancelled:
            return
        except ApiError as error:
            yield ready + self._failed(error)
        except Exception as error:  # the answer must not just stop, and a traceback could hold a prompt
            log("ERROR", "request.crashed", request_id=self._exchange.request_id, error=type(error).__name__)
            yield ready + self._failed(ApiError("Wardgate failed."))

    def close(self) -> None:
        """The response is over. What has not ended by now ends because the client has gone."""
        self._upstream.close()
        if self._exchange.decision is None:
            self._once.interrupted()
            self._note_answer()
            self._end_quietly()
        exchange = self._exchange
        log(
            "INFO" if exchange.decision in ("answered", "blocked", "cancelled") else "ERROR",
            "stream.ended",
            trace_id=exchange.trace_id,
            request_id=exchange.request_id,
            decision=exchange.decision,
            code=exchange.error_code,
            milliseconds=(exchange.services.clock.time_ns() - exchange.started_at) // 1_000_000,
        )

    def _chunks(self) -> Iterator[ChatChunk | None]:
        """What may leave, as it comes; None before the upstream has to be waited for.

        A blocked answer is not waited for: the upstream's work is ended.
        """
        guarded = self._guarded
        for chunk in self._upstream:
            self._exchange.services.switch.check(self._scopes)  # also where the guards hold everything back
            if chunk.usage:
                self._exchange.usage = chunk.usage
            if not self._paid_for(chunk):
                yield from self._cut(chunk)
                return
            yield from self._shown(guarded.feed(chunk))
            if guarded.blocked:
                break
            if not self._upstream.has_more:
                yield None
        yield from self._shown(guarded.finish())

    def _paid_for(self, chunk: ChatChunk) -> bool:
        """Count what the model says; whether it keeps to what was reserved for it."""
        exchange, kept = self._exchange, True
        for text in texts_of(chunk):
            exchange.answer_bytes = counted(text) + (exchange.answer_bytes or 0)
            kept = self._allowance.spend(text)
        return kept

    def _cut(self, chunk: ChatChunk) -> Iterator[ChatChunk]:
        """End a stream that says more than was reserved, as one that has come to its length."""
        self._upstream.close()
        estimate = self._exchange.estimate
        spent = TokenUsage() if estimate is None else TokenUsage(estimate.prompt_tokens, estimate.completion_tokens)
        spent.total_tokens = spent.prompt_tokens + spent.completion_tokens
        self._exchange.usage = spent
        ends = [ChunkChoice(index, Delta(), "length") for index in range(self._choices)]
        yield from self._shown(self._guarded.feed(msgspec.structs.replace(chunk, choices=ends, usage=UNSET)))
        yield from self._shown([msgspec.structs.replace(chunk, choices=[], usage=spent)])

    def _shown(self, chunks: list[ChatChunk]) -> Iterator[ChatChunk]:
        for chunk in chunks:
            self._check_switch(chunk)
            chunk.id = self._exchange.answer_id
            chunk.model = self._exchange.model or chunk.model
            chunk.notice, self._notice = self._notice, UNSET
            if self._wants_usage:
                yield chunk
            elif chunk.choices:
                chunk.usage = UNSET
                yield chunk

    def _check_switch(self, chunk: ChatChunk) -> None:
        """Stop before a chunk that the kill switch is on for, be it for a tool that no one declared."""
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                place = (choice.index, call.index)
                name = call.function.name if call.function is not None else None
                self._called[place] = self._called.get(place, "") + (name or "")
        tools = (f"tool:{name}" for name in self._called.values())
        self._exchange.services.switch.check((*self._scopes, *tools))

    def _end(self) -> bytes:
        """End the exchange; answers the receipt and the mark that the stream is whole."""
        self._note_answer()
        self._exchange.end("blocked" if self._guarded.blocked else "answered")
        receipt = self._exchange.receipt(self._guarded.completion)
        return encode_comment(f"wardgate-receipt {receipt}") + encode_event(DONE)

    def _failed(self, error: ApiError) -> bytes:
        """End the exchange because of an error; answers the error as OpenAI's streams tell one."""
        self._upstream.close()
        self._once.interrupted()
        if self._exchange.decision is None:
            self._note_answer()
            try:
                self._exchange.fail(error)
            except ApiError as worse:
                error = worse
        return encode_event(msgspec.json.encode(error_body(error)))

    def _end_quietly(self) -> None:
        try:
            self._exchange.end("cancelled", "client_gone")
        except ApiError as error:
            log("ERROR", "request.unrecorded", request_id=self._exchange.request_id, code=error.code)

    def _note_answer(self) -> None:
        try:
            inspection = self._guarded.inspection()
        except ValueError:  # nothing has been sent
            return
        self._exchange.answer_inspected(inspection)
        self._exchange.finish_reasons = tuple(choice.finish_reason or "" for choice in inspection.completion.choices)
