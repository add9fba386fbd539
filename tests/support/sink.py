"""A sink of events: a real HTTP server that answers as it is told and remembers what it got."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: Message
    body: bytes
    connection: int
    """The client's port: the same for requests over one connection."""

    @property
    def id(self) -> str:
        return str(self.headers["ce-id"])


@dataclass
class Sink:
    """What a server got and how it is to answer."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], int] = lambda received: 204
    """Status for a request; negative: none, the connection is cut."""

    body: bytes = b""
    """What it answers with."""

    def ids(self) -> list[str]:
        return [received.id for received in self.received]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    sink: Sink


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        received = Received(self.headers, body, self.client_address[1])
        status = self.server.sink.answer(received)
        self.server.sink.received.append(received)
        if status < 0:
            self.close_connection = True
            return
        self.send_response(status)
        body = b"" if status == 204 else self.server.sink.body
        self.send_header("content-length", str(len(body)))
        if status in (301, 307):
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def sink() -> Iterator[Sink]:
    """A running sink on a free port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.sink = Sink(f"http://127.0.0.1:{server.server_address[1]}/")
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        serving.start()
        try:
            yield server.sink
        finally:
            server.shutdown()
            serving.join()
