"""The model function: lets guard in and nobody else, finds a model that answers, and stops when guard hangs up."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
from flask import Request, Response

from shared.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from shared.identity.service_verifier import ServiceVerifier
from shared.models.client import DEADLINE_HEADER, UPSTREAM_HEADER, UPSTREAM_MODEL_HEADER
from shared.models.router import ChunkStream, Router
from shared.models.upstreams.failures import UNREADABLE
from shared.models.upstreams.port import CallContext
from shared.models.wire import ChatRequest
from shared.policy.types import PolicyFile
from shared.web.framework import discard_body
from shared.web.hangup import watch
from shared.web.http_client import CallCancelled, Cancellation
from shared.web.log import log, trace_id_of
from shared.web.request import read_json_body, request_id_of
from shared.web.responses import error_body, error_response, json_response
from shared.web.sse import DONE, encode_event

_ENCODING_MARGIN = 256 * 1024
"""What guard may add to a caller's body: the alias's system prompt, and another way to write the same JSON."""

_CLIENT_GONE = 499
"""nginx's status for it; nobody reads the answer."""

_requests = msgspec.json.Decoder(ChatRequest)
_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class _Call:
    """One request to the function, for its log line."""

    request_id: str
    trace_id: str | None
    started: float
    upstream: str | None = None
    upstream_model: str | None = None

    def end(self, status: int, code: str | None) -> None:
        log(
            "INFO" if status < 500 else "ERROR",
            "request.answered",
            trace_id=self.trace_id,
            request_id=self.request_id,
            status=status,
            code=code,
            upstream=self.upstream,
            upstream_model=self.upstream_model,
            milliseconds=int((time.monotonic() - self.started) * 1000),
        )


class ModelService:
    """Answers every request to the model function."""

    def __init__(self, policy: PolicyFile, router: Router, verifier: ServiceVerifier) -> None:
        self._router = router
        self._verifier = verifier
        self._deadline = policy.calls.deadline_seconds
        self._max_body = policy.guards.sizes.body_bytes + _ENCODING_MARGIN
        self._body_seconds = policy.guards.sizes.body_seconds
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "wardgate"} for name in router.names]
        self._models = _encoder.encode({"object": "list", "data": listed})

    def __call__(self, request: Request) -> Response:
        """Answer one request. Never raises."""
        if request.path == "/healthz" and request.method in ("GET", "HEAD"):
            return json_response(b'{"status":"ok"}')
        call = _Call(
            request_id_of(request.headers.get("x-request-id"), "req_" + secrets.token_hex(12)),
            trace_id_of(request.headers.get("traceparent")),
            time.monotonic(),
        )
        code: str | None = None
        try:
            response = self._answer(request, call)
        except ApiError as error:
            code = error.code
            response = error_response(error, call.request_id)
        except CallCancelled:
            code = "client_gone"
            response = Response(status=_CLIENT_GONE)
        except Exception as error:  # the last line of defence: a traceback could hold a prompt
            log("ERROR", "request.crashed", request_id=call.request_id, error=type(error).__name__)
            code = ApiError.code
            response = error_response(ApiError("The model function failed."), call.request_id)
        if not response.is_streamed:
            discard_body(request)
        response.headers["x-request-id"] = call.request_id
        if not isinstance(response.response, _EventStream):
            call.end(response.status_code, code)
        return response

    def _answer(self, request: Request, call: _Call) -> Response:
        self._verifier.verify(request.headers)
        match request.path, request.method:
            case "/v1/chat/completions", "POST":
                return self._chat(request, call)
            case "/v1/models", "GET" | "HEAD":
                return json_response(self._models)
            case "/v1/chat/completions" | "/v1/models", _:
                raise MethodNotAllowed("The route does not take this method.")
        raise NotFound("There is no such route.")

    def _chat(self, request: Request, call: _Call) -> Response:
        asked = _decode(read_json_body(request, self._max_body, self._body_seconds))
        cancel = Cancellation()
        end_by = call.started + self._seconds(request)
        context = CallContext(call.request_id, end_by, end_by, cancel, call.trace_id)
        with ExitStack() as closing:
            closing.enter_context(watch(request.environ, cancel.cancel))
            if asked.stream:
                return self._stream(asked, context, call, closing)
            routed = self._router.complete(asked, context)
        call.upstream, call.upstream_model = routed.upstream, routed.upstream_model
        return json_response(_encoder.encode(routed.answer), headers=_origin(call))

    def _stream(self, asked: ChatRequest, context: CallContext, call: _Call, closing: ExitStack) -> Response:
        routed = self._router.stream(asked, context)
        closing.callback(routed.answer.close)
        call.upstream, call.upstream_model = routed.upstream, routed.upstream_model
        return Response(
            _EventStream(routed.answer, call, closing.pop_all()),
            headers={**_origin(call), "cache-control": "no-store"},
            content_type="text/event-stream",
            direct_passthrough=True,
        )

    def _seconds(self, request: Request) -> float:
        """The time for the answer: what guard says it has left, but no more than the policy gives."""
        given = request.headers.get(DEADLINE_HEADER, "")
        return min(int(given) / 1000, self._deadline) if given.isdecimal() and len(given) < 12 else self._deadline


class _EventStream:
    """The body of a streamed answer. Its ``close`` ends the upstream's call, also where it was never begun."""

    def __init__(self, chunks: ChunkStream, call: _Call, closing: ExitStack) -> None:
        self._chunks = chunks
        self._call = call
        self._closing = closing
        self._code: str | None = "client_gone"

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                yield encode_event(_encoder.encode(chunk))
        except ApiError as error:
            self._code = error.code
            yield encode_event(_encoder.encode(error_body(error)))
        except CallCancelled:
            return
        except Exception as error:  # as above; and the client must see that the answer is not whole
            log("ERROR", "request.crashed", request_id=self._call.request_id, error=type(error).__name__)
            self._code = ApiError.code
            yield encode_event(_encoder.encode(error_body(ApiError("The model function failed."))))
        else:
            self._code = None
            yield encode_event(DONE)

    def close(self) -> None:
        self._closing.close()
        self._call.end(200, self._code)


def _decode(body: bytes) -> ChatRequest:
    """The request. Guard has checked it in every detail, so what is wrong with it is not told in any."""
    try:
        return _requests.decode(body)
    except UNREADABLE:
        raise BadRequest("The body is not a chat request.") from None


def _origin(call: _Call) -> dict[str, str]:
    return {UPSTREAM_HEADER: call.upstream or "", UPSTREAM_MODEL_HEADER: call.upstream_model or ""}
