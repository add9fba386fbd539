"""HTTP as no library would send it: requests byte by byte over a socket of their own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import Any

Header = tuple[str | bytes, str | bytes]
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error's code, or None for anything but an error in OpenAI's shape."""
        try:
            return str(self.json["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return None


def request_bytes(method: str, target: str, headers: Iterable[Header] = (), body: bytes = b"") -> bytes:
    """A request as it goes over the wire; headers are sent as they are, also twice, also false ones."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    return b"\r\n".join([*lines, b"", body])


def connect(port: int) -> socket.socket:
    """A connection to a function on this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)


def exchange(port: int, request: bytes, *, end: bool = False) -> Answer | None:
    """Send bytes and read one answer; None where the server closes without one.

    Args:
        port: The function's port.
        request: Everything that is sent.
        end: Say that nothing more comes, so that a server which waits for more bytes goes on.
    """
    with connect(port) as connection:
        try:
            connection.sendall(request)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed by the server, which may have answered before that
        return read_answer(connection, request.split(b" ", 1)[0].decode("latin-1"))


def read_answer(connection: socket.socket, method: str = "GET") -> Answer | None:
    """One whole answer, or None where the connection ends before its head does."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
    except (HTTPException, ConnectionError):
        return None
    return Answer(response.status, response.headers, response.read())


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
