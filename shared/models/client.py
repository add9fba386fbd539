"""Guard's side of the way to the model function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

from shared.errors import ApiError, BadRequest, ContentFiltered, NotFound, ServiceUnavailable
from shared.identity.service import IdentityTokens
from shared.models.upstreams.failures import UNREADABLE, timed_out
from shared.models.wire import ChatChunk, ChatCompletion, ChatRequest
from shared.web.hangup import watch
from shared.web.http_client import Cancellation, ConnectFailed, DeadlineExceeded, HttpClient, HttpError, Response
from shared.web.log import log, trace_id_of
from shared.web.sse import DONE, EventParser, EventTooLarge

UPSTREAM_HEADER = "x-wardgate-upstream"
UPSTREAM_MODEL_HEADER = "x-wardgate-upstream-model"
DEADLINE_HEADER = "x-wardgate-deadline-ms"

_MAX_ANSWER = 16 * 1024 * 1024
_MAX_STREAM = 64 * 1024 * 1024
_MAX_EVENT = 1024 * 1024
_MAX_ERROR = 64 * 1024
_SAFE_HEADERS = ("retry-after", "x-should-retry")

_GRACE = 0.5
"""Seconds that the model function gets to say that the time is over."""


class ModelCall(Struct, frozen=True):
    """What the model function needs to know of the request that it works for."""

    request_id: str
    seconds: float
    """For the whole answer, from now."""

    environ: Mapping[str, Any]
    """The WSGI environment of guard's own request: when its client hangs up, the call ends."""

    pulse: Callable[[], None] | None = None
    """Called twice a second while the call waits; what it raises ends the call."""


class Answer(Struct, frozen=True):
    """A whole answer, and where it came from."""

    completion: ChatCompletion
    upstream: str
    """The upstream's name in the policy."""

    upstream_model: str
    """The upstream's own version string of the model."""


class _ErrorDetail(msgspec.Struct):
    message: str
    code: str
    param: str | None = None


class _Error(msgspec.Struct):
    error: _ErrorDetail


_completions = msgspec.json.Decoder(ChatCompletion)
_chunks = msgspec.json.Decoder(ChatChunk)
_errors = msgspec.json.Decoder(_Error)


class AnswerStream:
    """The chunks of a streamed answer, and where they come from. Close it, best by ``with``.

    Iterating raises ``ApiError`` where the stream breaks and ``CallCancelled`` where guard's client
    has hung up.
    """

    def __init__(self, response: Response, closing: ExitStack) -> None:
        self._closing = closing
        self._chunks = self._read(response)
        self.has_more = False
        """Whether the chunk after the last one is here already."""

        self.upstream = response.headers.get(UPSTREAM_HEADER, "")
        self.upstream_model = response.headers.get(UPSTREAM_MODEL_HEADER, "")

    def __iter__(self) -> Iterator[ChatChunk]:
        return self._chunks

    def close(self) -> None:
        """End the call; safe to call twice."""
        self._closing.close()

    def _read(self, response: Response) -> Iterator[ChatChunk]:
        parser = EventParser(_MAX_EVENT)
        try:
            for piece in response.pieces(_MAX_STREAM):
                events = list(parser.feed(piece))
                for number, data in enumerate(events, 1):
                    if data == DONE:
                        response.release()
                        return
                    self.has_more = number < len(events)
                    yield _chunk(data)
        except HttpError as error:
            raise _unreachable(error) from error
        except EventTooLarge as error:
            raise _garbled() from error
        raise _garbled()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class ModelClient:
    """Calls the model function. Safe for threads; make it after the fork."""

    def __init__(self, url: str, identity: IdentityTokens, *, connect_timeout: float = 5.0) -> None:
        """
        Args:
            url: The model function's address; also the audience of the tokens.
            identity: Gives the tokens that prove guard's identity.
            connect_timeout: Seconds to make a connection in.
        """
        self._url = url
        self._identity = identity
        self._client = HttpClient(url, connect_timeout=connect_timeout)

    def complete(self, request: ChatRequest, call: ModelCall) -> Answer:
        """The whole answer.

        Raises:
            ApiError: What the model function answers, or ``ServiceUnavailable`` where it cannot be reached.
            CallCancelled: Guard's client has hung up.
        """
        cancel = Cancellation()
        with watch(call.environ, cancel.cancel):
            try:
                with self._send(request, call, cancel) as response:
                    body = response.read(_MAX_ANSWER)
            except HttpError as error:
                raise _unreachable(error) from error
        try:
            completion = _completions.decode(body)
        except UNREADABLE:
            raise _garbled() from None  # the cause quotes the answer
        return Answer(
            completion, response.headers.get(UPSTREAM_HEADER, ""), response.headers.get(UPSTREAM_MODEL_HEADER, "")
        )

    def stream(self, request: ChatRequest, call: ModelCall) -> AnswerStream:
        """The answer as it comes; returns with its first chunk on the way. Raises as ``complete``."""
        cancel = Cancellation()
        with ExitStack() as closing:
            closing.enter_context(watch(call.environ, cancel.cancel))
            try:
                response = closing.enter_context(self._send(request, call, cancel))
            except HttpError as error:
                raise _unreachable(error) from error
            return AnswerStream(response, closing.pop_all())

    def close(self) -> None:
        """Close the unused connections."""
        self._client.close()

    def _send(self, request: ChatRequest, call: ModelCall, cancel: Cancellation) -> Response:
        headers = {
            **self._identity.headers(self._url),
            "content-type": "application/json",
            "x-request-id": call.request_id,
            DEADLINE_HEADER: str(max(1, int(call.seconds * 1000))),
        }
        traceparent = call.environ.get("HTTP_TRACEPARENT")
        if trace_id_of(traceparent) is not None:
            headers["traceparent"] = str(traceparent)
        response = self._client.send(
            "POST",
            "/v1/chat/completions",
            headers=headers,
            body=msgspec.json.encode(request),
            deadline=time.monotonic() + call.seconds + _GRACE,
            cancel=cancel,
            pulse=call.pulse,
        )
        if response.status != 200:
            with response:
                _raise_refusal(response)
        return response


def _chunk(data: bytes) -> ChatChunk:
    try:
        return _chunks.decode(data)
    except UNREADABLE:
        detail = _detail(data)
    if detail is None:
        raise _garbled()
    raise _error(_STATUS_IN_STREAM.get(detail.code, 502), detail, {})


_STATUS_IN_STREAM = {
    "content_filter": 400,
    "context_length_exceeded": 400,
    "upstream_rejected": 400,
    "upstream_rate_limited": 503,
    "upstream_unavailable": 503,
    "upstream_timeout": 504,
}
"""An error inside a stream has no status of its own."""


def _raise_refusal(response: Response) -> NoReturn:
    detail = _detail(response.read(_MAX_ERROR))
    if detail is None:  # not the function speaks, but what stands before it
        raise _unavailable() if response.status in (429, 500, 503) else _garbled()
    if response.status in (401, 403):
        log("ERROR", "model.refused_guard", code=detail.code)
        raise _unavailable()
    safe = {name: value for name in _SAFE_HEADERS if (value := response.headers.get(name)) is not None}
    raise _error(response.status, detail, safe)


def _detail(body: bytes) -> _ErrorDetail | None:
    try:
        return _errors.decode(body).error
    except UNREADABLE:
        return None


def _error(status: int, detail: _ErrorDetail, headers: Mapping[str, str]) -> ApiError:
    """The error that the model function has told, as it was raised there."""
    message, code = detail.message, detail.code
    match status:
        case 400 if code == ContentFiltered.code:
            return ContentFiltered(message, param=detail.param)
        case 400:
            return BadRequest(message, code=code, param=detail.param)
        case 404:
            return NotFound(message, code=code, param=detail.param)
        case 502 | 503 | 504:
            return ServiceUnavailable(message, status=status, code=code, headers=headers)
    return _garbled()


def _unreachable(error: HttpError) -> ServiceUnavailable:
    match error:
        case DeadlineExceeded():
            return timed_out()
        case ConnectFailed():
            return _unavailable()
    return _garbled()


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("The model function cannot be reached now.", code="model_unavailable")


def _garbled() -> ServiceUnavailable:
    return ServiceUnavailable("The model function did not answer properly.", status=502, code="model_error")
