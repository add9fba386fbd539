"""An OpenAI-compatible upstream that keeps what it is sent and misbehaves as a test tells it to."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Script = Literal["answer", "fail", "trickle", "stall", "think"]
"""Answer at once; fail with ``ScriptedUpstream.error``; stream a word every few milliseconds, for ever; stream
one word and then nothing; or say nothing at all."""

_TICK_SECONDS = 0.02
_FOREVER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached the upstream."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedUpstream:
    """A context manager; ``UPSTREAM_URL`` is its ``url``."""

    def __init__(self) -> None:
        self.script: Script = "answer"
        self.text = "A firewall keeps what does not belong out."
        self.error = "The upstream has failed."
        self.calls: list[Call] = []
        self.hung_up = threading.Event()
        """Set when a client leaves before ``trickle``, ``stall`` or ``think`` is at its end."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ScriptedUpstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes, and the second must not wait

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                upstream.calls.append(
                    Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )
                asked = json.loads(body)
                if upstream.script == "fail":
                    error = {"message": upstream.error, "type": "server_error", "param": None, "code": "boom"}
                    self._send(500, json.dumps({"error": error}).encode())
                elif upstream.script != "answer":
                    self._send_slowly(asked["model"], upstream.script)
                elif asked.get("stream"):
                    chunks = [_chunk(asked["model"], upstream.text), _chunk(asked["model"], None, "stop")]
                    self._send(200, b"".join([*chunks, b"data: [DONE]\n\n"]), "text/event-stream")
                else:
                    self._send(200, json.dumps(_completion(asked["model"], upstream.text)).encode())

            def _send(self, status: int, body: bytes, content_type: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _send_slowly(self, model: str, script: Script) -> None:
                self.close_connection = True
                deadline = time.monotonic() + _FOREVER_SECONDS
                try:
                    if script != "think":
                        self.send_response(200)
                        self.send_header("content-type", "text/event-stream")
                        self.send_header("connection", "close")
                        self.end_headers()
                        self.wfile.write(_chunk(model, "Once "))
                    while time.monotonic() < deadline and not _has_ended(self.connection):
                        if script == "trickle":
                            self.wfile.write(_chunk(model, "upon a time "))
                except OSError:
                    pass  # the client has left
                upstream.hung_up.set()

            def log_message(self, *_: object) -> None:
                """Say nothing: ``calls`` is the log."""

        return Handler


def _has_ended(connection: socket.socket) -> bool:
    """Whether the client closes the connection within a tick."""
    readable, _, _ = select.select([connection], [], [], _TICK_SECONDS)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def _completion(model: str, text: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
    }


def _chunk(model: str, text: str | None, finish_reason: str | None = None) -> bytes:
    delta = {} if text is None else {"role": "assistant", "content": text}
    chunk = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
