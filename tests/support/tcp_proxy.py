"""A TCP proxy on the loopback between a client and a server, which fails as networks do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 65_536
_TICK = 0.02
_HEADERS = 1
"""The type of the HTTP/2 frame that an answer begins with (RFC 9113, section 6.2)."""


class TcpProxy:
    """Forwards connections, until a test says otherwise. Made by ``tcp_proxy``.

    Every kind of failure holds for connections that exist and for new ones, until ``heal``.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.partition(":")
        self._server = (host, int(port))
        self._listener: socket.socket | None = None
        self._connections: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False
        self.swallows = False
        self.cuts_answers = False
        self.delay_seconds = 0.0
        self.accepted = 0
        """Connections so far."""

        self._port_kept = socket.socket()
        """Bound and never listening, so that nobody else gets the port while connections are refused."""
        self._port_kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_kept.bind(("127.0.0.1", 0))
        self.port = self._port_kept.getsockname()[1]
        self._listen()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    # --- what may go wrong ------------------------------------------------------------------------

    def refuse(self) -> None:
        """End every connection, and refuse new ones, as where nobody listens."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):  # systems on which only what is connected can be shut down
                listener.shutdown(socket.SHUT_RDWR)  # at once, also while a thread waits in it
            listener.close()
        self._end_all()

    def swallow(self, *, new: bool = False) -> None:
        """Let nothing through any more; what is sent arrives when it heals, as after lost packets.

        Args:
            new: End the connections there are, so that clients connect to a server that never says a word.
        """
        self.swallows = True
        if new:
            self._end_all()

    def delay(self, seconds: float) -> None:
        """Keep everything that is sent for so long, in each direction."""
        self.delay_seconds = seconds

    def cut_answers(self) -> None:
        """Let requests through, and end the connection where an HTTP/2 server begins to answer one."""
        self.cuts_answers = True

    def heal(self) -> None:
        """Forward again."""
        self.swallows = self.cuts_answers = False
        self.delay_seconds = 0.0
        if self._listener is None:
            self._listen()

    # --- how it works -----------------------------------------------------------------------------

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        listener.settimeout(_TICK)
        self._listener = listener
        self._start(self._accept, listener)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed meanwhile
            self.accepted += 1
            try:
                connection = _Connection(client, socket.create_connection(self._server))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._connections.add(connection)
            self._start(self._pump, connection, connection.client, connection.server, None)
            self._start(self._pump, connection, connection.server, connection.client, _Frames())

    def _pump(
        self, connection: _Connection, source: socket.socket, target: socket.socket, frames: _Frames | None
    ) -> None:
        """Carry one direction of a connection until either side ends it."""
        with suppress(OSError):
            source.settimeout(_TICK)
            while not connection.over.is_set():
                try:
                    data = source.recv(_CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    break
                self._hold(connection)
                if frames is not None and _HEADERS in frames.read(data) and self.cuts_answers:
                    break
                target.sendall(data)
        connection.end()
        with self._lock:
            self._connections.discard(connection)

    def _hold(self, connection: _Connection) -> None:
        until = time.monotonic() + self.delay_seconds
        while not connection.over.is_set() and (self.swallows or (self.delay_seconds and time.monotonic() < until)):
            time.sleep(_TICK)

    def _end_all(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.end()

    def close(self) -> None:
        """End everything."""
        self.refuse()
        self._port_kept.close()
        for thread in self._threads:
            thread.join(5)


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    over: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        self.over.set()
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class _Frames:
    """Reads along with what an HTTP/2 server sends: each frame has its length in three bytes, then its type."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0

    def read(self, data: bytes) -> set[int]:
        """The types of the frames that begin in ``data``, which follows what was read before."""
        types = set()
        data = self._rest + data
        while True:
            skipped = min(self._skip, len(data))
            data, self._skip = data[skipped:], self._skip - skipped
            if self._skip or len(data) < 9:
                self._rest = data
                return types
            types.add(data[3])
            self._skip = 9 + int.from_bytes(data[:3], "big")


@contextmanager
def tcp_proxy(server: str) -> Iterator[TcpProxy]:
    """Run a proxy in front of ``server``, its ``host:port``."""
    proxy = TcpProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
