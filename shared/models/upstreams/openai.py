"""The adapter for any server with OpenAI's chat-completions API: OpenAI itself, vLLM, Ollama, llama.cpp, …"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import NoReturn

import msgspec

from shared.models.upstreams.answers import Answer, ChunkReader, NotUnderstood, completion_of
from shared.models.upstreams.failures import (
    UNREADABLE,
    auth_failed,
    broken,
    failure_of,
    is_key_refused,
    refusal,
    refusal_in_stream,
)
from shared.models.upstreams.port import CallContext, Key
from shared.models.wire import ChatChunk, ChatCompletion, ChatRequest, DeveloperMessage, SystemMessage
from shared.stores.secrets import Secret
from shared.web.http_client import HttpClient, HttpError, Response
from shared.web.sse import DONE, EventParser, EventTooLarge

_MAX_ANSWER = 16 * 1024 * 1024
_MAX_STREAM = 64 * 1024 * 1024
_MAX_EVENT = 1024 * 1024
_MAX_ERROR = 64 * 1024

_OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")

_decoder = msgspec.json.Decoder(Answer)


class OpenAIUpstream:
    """Speaks to one server."""

    def __init__(
        self, base_url: str, *, key: Key | None = None, connect_timeout: float = 5.0, extra: bytes = b""
    ) -> None:
        """
        Args:
            base_url: As the SDKs take it, such as ``https://api.openai.com/v1``.
            key: Gives the bearer token; None where the server asks for none.
            connect_timeout: Seconds to make a connection in.
            extra: More members of each request's JSON object, encoded, such as ``"a":1``.
        """
        self._client = HttpClient(base_url, connect_timeout=connect_timeout)
        self._key = key
        self._extra = b"," + extra if extra else b""
        host = base_url.partition("://")[2].partition("/")[0].lower()
        self._is_openai = host.endswith(_OPENAI_HOSTS)

    def complete(self, request: ChatRequest, model: str, context: CallContext) -> ChatCompletion:
        """The whole answer."""
        try:
            with self._send(request, model, context, stream=False) as response:
                body = response.read(_MAX_ANSWER)
        except HttpError as error:
            raise failure_of(error) from error
        answer = _decode(body)
        try:
            return completion_of(answer, request.n or 1)
        except NotUnderstood as error:
            raise broken() from error

    def stream(self, request: ChatRequest, model: str, context: CallContext) -> Generator[ChatChunk, None, None]:
        """The answer's chunks as they come."""
        try:
            with self._send(request, model, context, stream=True) as response:
                if response.headers.content_type() != "text/event-stream":
                    _refuse_unstreamed(response)
                yield from _chunks(response, ChunkReader(request.n or 1), context)
        except HttpError as error:
            raise failure_of(error) from error

    def close(self) -> None:
        """Close the unused connections."""
        self._client.close()

    def _send(self, request: ChatRequest, model: str, context: CallContext, *, stream: bool) -> Response:
        """Send the request; if its key is not accepted, once more with a fresh one, then with the previous one.

        Raises:
            ApiError, UpstreamFailure: The status is not 200.
        """
        body = self._body(request, model, stream=stream)
        key = self._key() if self._key is not None else None
        others = iter(()) if self._key is None else _others(self._key, key)
        response = self._post(body, key.reveal() if key is not None else None, context, stream=stream)
        while response.status != 200:
            with response:
                # Of a 401 nothing more is needed to know.
                error = b"" if response.status == 401 else _error_body(response)
            if not is_key_refused(response.status, error):
                raise refusal(response.status, response.headers, error)
            if (other := next(others, None)) is None:
                raise auth_failed()
            response = self._post(body, other.reveal(), context, stream=stream)
        return response

    def _post(self, body: bytes, key: bytes | None, context: CallContext, *, stream: bool) -> Response:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            "user-agent": "wardgate",
        }
        if key is not None:
            headers["authorization"] = "Bearer " + key.decode("latin-1").strip()
        return self._client.send(
            "POST",
            "/chat/completions",
            headers=headers,
            body=body,
            deadline=context.answer_by,
            cancel=context.cancel,
        )

    def _body(self, request: ChatRequest, model: str, *, stream: bool) -> bytes:
        """The request as this server takes it. The end user's name stays here.

        OpenAI refuses ``max_tokens`` on its reasoning models; others know only that name, and would go
        on without a cap. The role ``developer`` is OpenAI's alone too.
        """
        caps = [cap for cap in (request.max_tokens, request.max_completion_tokens) if cap is not None]
        cap = min(caps) if caps else None
        messages = request.messages
        if not self._is_openai and any(isinstance(message, DeveloperMessage) for message in messages):
            messages = [
                SystemMessage(message.content, message.name) if isinstance(message, DeveloperMessage) else message
                for message in messages
            ]
        sent = msgspec.structs.replace(
            request,
            model=model,
            messages=messages,
            user=None,
            stream=stream or None,
            stream_options=request.stream_options if stream else None,
            max_tokens=None if self._is_openai else cap,
            max_completion_tokens=cap if self._is_openai else None,
        )
        return msgspec.json.encode(sent)[:-1] + self._extra + b"}"


def _others(key: Key, refused: Secret | None) -> Iterator[Secret]:
    """What else may be accepted in place of a key that was refused."""
    tried = {None if refused is None else refused.reveal()}
    for another in (partial(key, fresh=True), key.previous):
        found = another()
        if found is not None and found.reveal() not in tried:
            tried.add(found.reveal())
            yield found


def _chunks(response: Response, reader: ChunkReader, context: CallContext) -> Generator[ChatChunk, None, None]:
    """The stream's chunks. The first must come in time for an answer, the others for the end."""
    parser = EventParser(_MAX_EVENT)
    empty = True
    try:
        for piece in response.pieces(_MAX_STREAM):
            for data in parser.feed(piece):
                if data == DONE:
                    response.release()
                    if empty:
                        raise broken()
                    return
                chunk = reader.chunk_of(_decode(data))
                if chunk is not None:
                    if empty:
                        empty = False
                        response.extend(context.end_by)
                    yield chunk
    except (EventTooLarge, NotUnderstood) as error:
        raise broken() from error
    raise broken()


def _decode(data: bytes) -> Answer:
    """One answer or event; an ``error`` in it is raised."""
    try:
        answer = _decoder.decode(data)
    except UNREADABLE:
        answer = _error_in_list(data)
    if answer.error is not None:
        raise refusal_in_stream(answer.error)
    return answer


def _error_in_list(data: bytes) -> Answer:
    """Google wraps an error into a list of one."""
    try:
        return msgspec.json.decode(data, type=tuple[Answer])[0]
    except UNREADABLE:
        raise broken() from None  # the cause quotes what came


def _refuse_unstreamed(response: Response) -> NoReturn:
    """A stream was asked for and something else came: an error, told with status 200, or a proxy's page."""
    _decode(response.read(_MAX_ANSWER))
    raise broken()


def _error_body(response: Response) -> bytes:
    """The body of an error, or nothing where it cannot be had: the status alone says enough."""
    try:
        return response.read(_MAX_ERROR)
    except HttpError:
        return b""
