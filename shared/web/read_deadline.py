"""Bounds how long a request's body may take to arrive, however slowly it trickles.

A timeout on the socket bounds each wait for bytes, not their sum, and the server's reader cannot be told
to give up in between. So one thread per process, started with the first read (so after gunicorn's fork),
looks after the reads that are under way. It shuts down the receiving side of a connection whose time is
up: the read ends as if the client had stopped sending, the answer can still be sent, and the server then
closes the connection, on which nothing more can arrive.

A read costs its entry in a set, about a microsecond; a body that has arrived is never waited for.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any

_TICK_SECONDS = 0.25
"""How much later than its time a read may be ended; the thread wakes no more often than that."""


class ReadDeadline:
    """The time that reading a request's body may take, as a context manager around the reading.

    Where the server gives no socket (another one than gunicorn) the read is not bounded.
    """

    __slots__ = ("_connection", "due", "passed")

    def __init__(self, environ: Mapping[str, Any], seconds: float) -> None:
        """
        Args:
            environ: The request's WSGI environment; gunicorn's has the client's socket.
            seconds: From now until the read is ended.
        """
        connection = environ.get("gunicorn.socket")
        self._connection = connection if isinstance(connection, socket.socket) else None
        self.due = time.monotonic() + seconds
        self.passed = False
        """Whether the read was ended; what it returned or raised is then no fault of the framing."""

    def end_read(self) -> None:
        """Have the read return, as at the end of what the client sends."""
        self.passed = True
        if self._connection is not None:
            with suppress(OSError):  # the client has left meanwhile
                self._connection.shutdown(socket.SHUT_RD)

    def __enter__(self) -> ReadDeadline:
        if self._connection is not None:
            _process_overseer().add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            _process_overseer().remove(self)


class _Overseer:
    """Ends overdue reads in a thread of its own.

    A read is ended under the lock that takes it out: once it is out, its connection is the next request's.
    """

    def __init__(self) -> None:
        self._reads: set[ReadDeadline] = set()
        self._lock = threading.Lock()
        self._awake = threading.Event()
        threading.Thread(target=self._run, name="read-deadline", daemon=True).start()

    def add(self, read: ReadDeadline) -> None:
        with self._lock:
            self._reads.add(read)
        if not self._awake.is_set():
            self._awake.set()

    def remove(self, read: ReadDeadline) -> None:
        with self._lock:
            self._reads.discard(read)

    def _run(self) -> None:
        while True:
            self._awake.wait()
            time.sleep(_TICK_SECONDS)
            # Cleared before the look: a read that is added from here on sets it again.
            self._awake.clear()
            if self._end_overdue():
                self._awake.set()

    def _end_overdue(self) -> bool:
        """Whether reads are still under way."""
        now = time.monotonic()
        with self._lock:
            for read in [read for read in self._reads if read.due <= now]:
                self._reads.discard(read)
                read.end_read()
            return bool(self._reads)


@cache
def _process_overseer() -> _Overseer:
    return _Overseer()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process_overseer.cache_clear)
