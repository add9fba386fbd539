"""An HTTP/1.1 client over bare sockets, so light that on a small machine it is not what is measured.

It sends requests that were made into bytes beforehand and reads just enough of an answer to know where
it ends; any other status than 200 ends the run.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_PIECE = 64 * 1024
_TIMEOUT_SECONDS = 30.0
_LAST_CHUNK = b"\r\n0\r\n\r\n"
"""How a chunked answer ends; event streams hold no bare ``0`` between CRLFs before that."""


class Refused(Exception):
    """A server answered with another status than 200, or not to the end."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as bytes, and whom it goes to."""

    address: tuple[str, int]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Timing:
    """One exchange, in seconds from its first byte sent."""

    first_byte: float
    """To the first byte of the body."""

    whole: float
    """To the last byte of the body."""


def call(url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Call:
    """A POST of ``body``, which is JSON already where it is bytes; a GET where there is none."""
    parts = urlsplit(url)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": parts.netloc, **(headers or {})}
    if body is None:
        method, data = "GET", b""
    else:
        method = "POST"
        fields |= {"content-type": "application/json", "content-length": str(len(data))}
    head = [f"{method} {parts.path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return Call((parts.hostname or "", parts.port or 80), "\r\n".join([*head, "\r\n"]).encode() + data)


class Connection:
    """One kept-alive connection, with at most one request under way."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.socket = socket.create_connection(call.address, timeout=_TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._body_at = 0
        self._length: int | None = None

    def send(self) -> None:
        """Send the request, and forget the answer to the one before."""
        self._received.clear()
        self._body_at = 0
        self.socket.sendall(self.call.payload)

    def receive(self) -> bool:
        """Take what has come of the answer; True once it is whole.

        Raises:
            Refused: The status is not 200, or the connection ended.
        """
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise Refused(f"the connection to port {self.call.address[1]} ended early: {bytes(self._received)!r}")
        self._received += piece
        if not self._body_at and not self._read_head():
            return False
        if self._length is None:
            return self._received.endswith(_LAST_CHUNK)
        return len(self._received) >= self._body_at + self._length

    @property
    def has_body(self) -> bool:
        """Whether a byte of the answer's body has come."""
        return 0 < self._body_at < len(self._received)

    @property
    def body(self) -> bytes:
        """What has come of the answer's body, chunk sizes included where it is chunked."""
        return bytes(self._received[self._body_at :])

    def exchange(self) -> Timing:
        """One request and its whole answer."""
        started = time.perf_counter()
        first_byte = 0.0
        self.send()
        whole = False
        while not whole:
            whole = self.receive()
            if not first_byte and self.has_body:
                first_byte = time.perf_counter() - started
        return Timing(first_byte, time.perf_counter() - started)

    def close(self) -> None:
        self.socket.close()

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._body_at = end + 4
        status, *headers = bytes(self._received[:end]).lower().split(b"\r\n")
        if status.split()[1] != b"200":
            raise Refused(
                f"port {self.call.address[1]} answered {bytes(self._received)[:2000].decode(errors='replace')}"
            )
        lengths = [int(line.partition(b":")[2]) for line in headers if line.startswith(b"content-length:")]
        self._length = lengths[0] if lengths else None
        return True


def rate(call: Call, clients: int, seconds: float) -> float:
    """Answers a second that ``clients`` get which ask again as soon as they are answered."""
    answered = 0
    with _Waiting([Connection(call) for _ in range(clients)]) as waiting:
        end = time.perf_counter() + seconds
        while waiting:
            for connection in waiting.ready():
                if not connection.receive():
                    continue
                if time.perf_counter() < end:
                    answered += 1
                    connection.send()
                else:
                    waiting.drop(connection)
    return answered / seconds


def together(call: Call, clients: int, expected: bytes, count: int) -> float:
    """Seconds until as many clients, which ask at the same moment, have their whole answers.

    Raises:
        Refused: An answer does not hold ``expected`` just ``count`` times.
    """
    connections = [Connection(call) for _ in range(clients)]
    started = time.perf_counter()
    with _Waiting(connections) as waiting:
        while waiting:
            for connection in waiting.ready():
                if connection.receive():
                    waiting.drop(connection)
        seconds = time.perf_counter() - started
        for connection in connections:
            if connection.body.count(expected) != count:
                raise Refused(f"an answer lacks events: {connection.body[-2000:]!r}")
    return seconds


class _Waiting:
    """Connections with a request under way; closed on leaving."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> _Waiting:
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.close()

    def __bool__(self) -> bool:
        return bool(self._selector.get_map())

    def ready(self) -> list[Connection]:
        """Those that have something to read."""
        events = self._selector.select(_TIMEOUT_SECONDS)
        if not events:
            raise Refused(f"no answer within {_TIMEOUT_SECONDS:g} s")
        return [key.data for key, _ in events]

    def drop(self, connection: Connection) -> None:
        """Wait for this one no more."""
        self._selector.unregister(connection.socket)
