"""A small server with OpenAI's chat-completions wire format, for tests and benchmarks.

In a test:

    with OpenAIServer() as server:
        server.script(error(500), completion("hello"))   # one reply per request, then the usual answer
        ... server.url ...
        assert server.requests[0].json["model"] == "m"

By itself, for a benchmark: ``python -m tests.support.openai_server --port 9000 --pieces 50 --pace 0.02``.
It speaks HTTP/1.1 over plain sockets, since most of what it does is to break the protocol on purpose.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

MODEL = "test-model-2024-01-01"
"""The version string that answers carry."""

ANSWER = "A penguin is a flightless bird."


@dataclass
class Recorded:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which connection it came over; kept-alive ones serve several."""

    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when the client was seen to leave before its answer was whole."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ClientGone(Exception):
    """The client closed its connection."""


class Exchange:
    """What a reply writes to."""

    def __init__(self, connection: socket.socket, recorded: Recorded) -> None:
        self.connection = connection
        self.recorded = recorded
        self.chunked = False

    def head(self, status: int = 200, headers: Mapping[str, str] | None = None, *, length: int | None = None) -> None:
        """Send the status line and the headers; chunked where no length is given."""
        self.chunked = length is None
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} Status", framing]
        lines.extend(f"{name}: {value}" for name, value in (headers or {}).items())
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    def body(self, data: bytes) -> None:
        """Send a piece of the body; an empty one ends a chunked body."""
        self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.connection.sendall(data)
        except OSError:
            raise ClientGone from None

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the client stays."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not _peek(self.connection):
            raise ClientGone


Reply = Callable[[Exchange], bool]
"""Answers one request; returns whether the connection goes on."""


class OpenAIServer:
    """Listens on a free port of 127.0.0.1 while it is entered."""

    def __init__(self, usual: Reply | None = None, *, port: int = 0) -> None:
        """
        Args:
            usual: Answers what no scripted reply does; default: ``as_asked()``. Kept as an attribute that may change.
            port: 0 for a free one.
        """
        self.requests: list[Recorded] = []
        self.connections = 0
        self.usual = usual or as_asked()
        self._scripted: deque[Reply] = deque()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._open: set[socket.socket] = set()
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"

    def script(self, *replies: Reply) -> None:
        """Answer the next requests with these, in order."""
        self._scripted.extend(replies)

    def reset(self) -> None:
        """Forget what was scripted and what came in."""
        self._scripted.clear()
        self.requests.clear()

    def reply_to(self, recorded: Recorded) -> Reply:
        """What answers this request."""
        return self._scripted.popleft() if self._scripted else self.usual

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._listener)
        for connection in list(self._open):
            _close(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection.makefile("rb") as stream:
                while (recorded := _read_request(stream, number)) is not None:
                    self.requests.append(recorded)
                    try:
                        if not self.reply_to(recorded)(Exchange(connection, recorded)):
                            return
                    except ClientGone:
                        recorded.hung_up.set()
                        return
        except OSError:
            return
        finally:
            self._open.discard(connection)
            _close(connection)


def _read_request(stream: Any, number: int) -> Recorded | None:
    line = stream.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Recorded(method, path, headers, body, number)


def _peek(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


# --- what answers are made of --------------------------------------------------------------------


def completion_body(content: str | None = ANSWER, **changes: Any) -> dict[str, Any]:
    """A whole answer as OpenAI sends it, with fields that Wardgate must not pass on."""
    body = {
        "id": "chatcmpl-123",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": content,
                    "refusal": None,
                    "annotations": [],
                    "reasoning_content": "unscanned reasoning",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage(),
    }
    return {**body, **changes}


def usage() -> dict[str, Any]:
    """Usage as OpenAI counts it."""
    return {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def chunk_body(delta: dict[str, Any] | None, finish: str | None = None, **changes: Any) -> dict[str, Any]:
    """One event of a streamed answer; ``delta`` None makes one without choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    body = {
        "id": "chatcmpl-123",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "system_fingerprint": "fp_44709d6fcb",
        "choices": choices,
        "obfuscation": "x8f",
    }
    return {**body, **changes}


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def text_events(pieces: Iterable[str] = ("A penguin ", "is a flightless", " bird.")) -> list[bytes]:
    """The events of a streamed text, without usage and without ``[DONE]``."""
    deltas = [{"role": "assistant", "content": "", "refusal": None}, *({"content": piece} for piece in pieces)]
    return [*(event(chunk_body(delta)) for delta in deltas), event(chunk_body({}, "stop"))]


def tool_events(name: str, arguments: Iterable[str]) -> list[bytes]:
    """The events of a streamed tool call, as OpenAI cuts them."""
    start = {"index": 0, "id": "call_abc", "type": "function", "function": {"name": name, "arguments": ""}}
    deltas = [
        {"role": "assistant", "content": None, "tool_calls": [start]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in arguments),
    ]
    return [*(event(chunk_body(delta)) for delta in deltas), event(chunk_body({}, "tool_calls"))]


def error_body(message: str = "It failed: <the prompt>", kind: str = "server_error", code: str | None = None) -> Any:
    """An error as OpenAI sends it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# --- replies ------------------------------------------------------------------------------------


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, after: float = 0.0) -> Reply:
    """Any JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def reply(exchange: Exchange) -> bool:
        exchange.pause(after)
        exchange.head(status, {"content-type": "application/json", **(headers or {})}, length=len(data))
        exchange.body(data)
        return True

    return reply


def completion(content: str | None = ANSWER, *, after: float = 0.0, **changes: Any) -> Reply:
    """A whole answer, after some seconds."""
    return answer(completion_body(content, **changes), after=after)


def error(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """An error of OpenAI's, or with any body."""
    return answer(error_body() if body is None else body, status, headers)


def stream(
    events: Iterable[bytes] | None = None,
    *,
    done: bool = True,
    pace: float = 0.0,
    usage_event: bool = False,
    end: bool = True,
    content_type: str = "text/event-stream; charset=utf-8",
) -> Reply:
    """A streamed answer.

    Args:
        events: What is sent, one chunk of the body each.
        done: Whether ``[DONE]`` follows.
        pace: Seconds before each event.
        usage_event: Whether an event with the usage comes before ``[DONE]``.
        end: Whether the body is ended properly; else the connection is cut.
        content_type: The answer's.
    """
    sent = list(text_events() if events is None else events)
    if usage_event:
        sent.append(event(chunk_body(None, usage=usage())))
    if done:
        sent.append(event(b"[DONE]"))

    def reply(exchange: Exchange) -> bool:
        exchange.head(200, {"content-type": content_type})
        for data in sent:
            exchange.pause(pace)
            exchange.body(data)
        if end:
            exchange.body(b"")
        return end

    return reply


def says(text: str) -> Reply:
    """A text, streamed if asked to, whatever tools there are."""

    def reply(exchange: Exchange) -> bool:
        return (stream(text_events([text])) if exchange.recorded.json.get("stream") else completion(text))(exchange)

    return reply


def stalls(text: str, seconds: float = 60.0) -> Reply:
    """A stream that says something, and then nothing more until the client leaves."""

    def reply(exchange: Exchange) -> bool:
        exchange.head(200, {"content-type": "text/event-stream"})
        for data in text_events([text])[:2]:
            exchange.body(data)
        exchange.pause(seconds)
        return False

    return reply


def silence(seconds: float = 30.0) -> Reply:
    """No answer at all, until the client leaves."""

    def reply(exchange: Exchange) -> bool:
        exchange.pause(seconds)
        return False

    return reply


def trickle(data: bytes = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", *, pace: float = 0.02) -> Reply:
    """An answer that comes byte by byte."""

    def reply(exchange: Exchange) -> bool:
        for byte in data:
            exchange.pause(pace)
            exchange.raw(bytes([byte]))
        exchange.pause(30.0)
        return False

    return reply


def raw(data: bytes) -> Reply:
    """Any bytes, then the end of the connection."""

    def reply(exchange: Exchange) -> bool:
        exchange.raw(data)
        return False

    return reply


def as_asked(*, pieces: int = 3, pace: float = 0.0, after: float = 0.0) -> Reply:
    """What a model would do: stream if asked to, call the first tool if there is one, else say ``ANSWER``.

    Args:
        pieces: How many events a streamed text has.
        pace: Seconds before each of them.
        after: Seconds before a whole answer.
    """
    words = [ANSWER] if pieces == 1 else [f"{ANSWER} " for _ in range(pieces)]

    def reply(exchange: Exchange) -> bool:
        request = exchange.recorded.json
        tools = request.get("tools")
        calls = tools is not None and request["messages"][-1]["role"] == "user"
        name = tools[0]["function"]["name"] if calls else ""
        if request.get("stream"):
            events = tool_events(name, ['{"city"', ': "Oslo"}']) if calls else text_events(words)
            wants_usage = (request.get("stream_options") or {}).get("include_usage", False)
            return stream(events, pace=pace, usage_event=wants_usage)(exchange)
        if calls:
            call = {"id": "call_abc", "type": "function", "function": {"name": name, "arguments": '{"city": "Oslo"}'}}
            message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
            return completion(choices=[choice], after=after)(exchange)
        return completion(after=after)(exchange)

    return reply


def main() -> None:
    """Serve until interrupted; prints the base URL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pieces", type=int, default=3, help="events of a streamed answer")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds before each event")
    parser.add_argument("--after", type=float, default=0.0, help="seconds before a whole answer")
    arguments = parser.parse_args()
    usual = as_asked(pieces=arguments.pieces, pace=arguments.pace, after=arguments.after)
    with OpenAIServer(usual, port=arguments.port) as server:
        print(server.url, flush=True)
        while True:
            time.sleep(3600)
            server.requests.clear()


if __name__ == "__main__":
    main()
