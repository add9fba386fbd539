"""What the small HTTP servers of the tests share: a free port on the loopback, a thread, silence, and short answers."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Handler(BaseHTTPRequestHandler):
    """Writes no log, and answers in one call."""

    def send(self, status: int, body: bytes = b"", content_type: str = "application/json", **headers: str) -> None:
        """The whole answer; a header's name has underscores where it has hyphens."""
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        """The request's."""
        return self.rfile.read(int(self.headers["content-length"]))

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the test's output."""


class _Server(ThreadingHTTPServer):
    """Says nothing of a client that hung up, as those with a deadline do; that would be in another test's output."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class LoopbackServer:
    """Serves with a handler on a free port while it is entered."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.origin = f"http://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
