"""One connection of the HTTP client: made, read and written within a deadline, whatever the other side does."""

from __future__ import annotations

import io
import select
import socket
import ssl
import time
from collections.abc import Callable

from shared.web.cancellation import Cancellation

_BUFFER = 16 * 1024
"""Bytes that each connection keeps room for."""

PULSE_SECONDS = 0.5
"""How often ``Wire.pulse`` is called while nothing comes."""


def open_wire(host: str, port: int, *, tls: ssl.SSLContext | None, by: float, cancel: Cancellation) -> Wire:
    """Connect to the first of the host's addresses that answers, within the time for all of them.

    Args:
        host: Name or address.
        port: TCP port.
        tls: Verifies the server and encrypts; None: plain TCP.
        by: When the connection must be there (``time.monotonic()``). The resolver cannot be interrupted.
        cancel: Ends the connecting from another thread.

    Raises:
        OSError, ValueError: No connection was made.
        CallCancelled: ``cancel`` was used.
    """
    return Wire(_connected(host, port, tls, by, cancel))


class Wire(io.RawIOBase):
    """A connection whose every read and write ends by the deadline of the call that it serves.

    The time left is set anew for each read, so that a trickle of bytes cannot stretch it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.deadline = 0.0
        self.idle_since = 0.0
        self.answered = False
        """Whether a byte of the running call's answer has come."""
        self.pulse: Callable[[], None] | None = None
        """Called now and then while a read waits; what it raises ends the call."""
        self._dry = False
        self._file = _KeptOpen(self, _BUFFER)

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        rest = memoryview(data)
        while rest:
            self.socket.settimeout(time_left(self.deadline))
            rest = rest[self.socket.send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What ``HTTPResponse`` reads from."""
        return self._file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer is newer than 3.11
        if self._dry:
            return 0
        count = self._receive(buffer)
        self.answered = self.answered or count > 0
        return count

    def _receive(self, buffer: memoryview) -> int:
        while self.pulse is not None:
            left = time_left(self.deadline)
            self.socket.settimeout(min(left, PULSE_SECONDS))
            try:
                return self.socket.recv_into(buffer)
            except TimeoutError:
                self.pulse()
        self.socket.settimeout(time_left(self.deadline))
        return self.socket.recv_into(buffer)

    def has_leftover(self) -> bool:
        """Whether more came than the answer, which would be taken for the start of the next one."""
        self._dry = True
        try:
            return bool(self._file.peek(1))
        finally:
            self._dry = False

    def is_quiet(self) -> bool:
        """Whether the idle connection is still open and nothing has come over it unasked."""
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self.socket.close()


class _KeptOpen(io.BufferedReader):
    """The file of a connection. ``HTTPResponse`` closes it after each answer; the connection goes on."""

    def close(self) -> None:
        """Do nothing."""


def _connected(host: str, port: int, tls: ssl.SSLContext | None, by: float, cancel: Cancellation) -> socket.socket:
    """Connect to the first address that answers, within the time for all of them."""
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            cancel.attach(connection)
            connection.settimeout(time_left(by))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is None:
                return connection
            connection.settimeout(time_left(by))
            connection = tls.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
            cancel.attach(connection)
            connection.do_handshake()
        except OSError as error:
            cancel.detach()
            connection.close()
            failure = error
        except BaseException:
            cancel.detach()
            connection.close()
            raise
        else:
            return connection
    raise failure


def time_left(deadline: float) -> float:
    """Seconds until ``deadline``; raises ``TimeoutError`` once it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
