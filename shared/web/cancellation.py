"""The end of a request's outgoing calls, from another thread."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from shared.errors import WardgateError


class CallCancelled(WardgateError):
    """Another thread ended the call. Not an ``HttpError``: nothing failed, nobody wants the answer."""


class Cancellation:
    """Lets another thread end a request's outgoing calls, also while one of them is blocked in a read.

    One per request; its calls follow each other, two never run at once.
    """

    __slots__ = ("_event", "_lock", "_socket")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """End the running call and refuse those that follow. Any thread may call it, at any time."""
        self._event.set()
        with self._lock:
            if self._socket is not None:
                _shut(self._socket)

    def check(self) -> None:
        """Raise ``CallCancelled`` once ``cancel`` was called."""
        if self._event.is_set():
            raise CallCancelled("The request was cancelled.")

    def wait(self, seconds: float) -> None:
        """Sleep, but not through a cancellation: that raises ``CallCancelled`` at once."""
        if self._event.wait(seconds):
            self.check()

    def attach(self, connection: socket.socket) -> None:
        """From now on ``cancel`` shuts this socket."""
        with self._lock:
            self._socket = connection
        self.check()

    def detach(self) -> None:
        """``cancel`` must not touch the socket any more: it may serve another request next."""
        with self._lock:
            self._socket = None


def _shut(connection: socket.socket) -> None:
    """Wake whoever is blocked on the socket. Plain ``socket.shutdown``: the TLS one would drop state in use."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
