"""Notices that the client of a running request has hung up, so that work for it can end.

Nothing in WSGI tells a handler that is waiting for something else. One thread per process, started with
the first watch (so after gunicorn's fork), waits on all watched sockets together; a watch costs two
``epoll_ctl`` calls.

Before a container on Cloud Run stands Google's front end, and a hang-up shows here only if it closes its
connection to the container too; that has not been tried. Where it does not, the deadline ends the work.

A client that half-closes its connection after sending counts as gone. Where there is no epoll or no
socket (macOS, another server) nothing is watched, and a hang-up shows with the next write.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any

from shared.web.log import log

_HAS_EPOLL = hasattr(select, "epoll")
_EVENTS = select.EPOLLRDHUP | select.EPOLLONESHOT if _HAS_EPOLL else 0


class Watch:
    """A running watch; use it as a context manager, or ``close`` it.

    Close it before the response ends: the server may close the socket then, and its number may be
    another client's.
    """

    __slots__ = ("_watcher", "fd", "on_hangup")

    def __init__(self, watcher: _Watcher | None, fd: int, on_hangup: Callable[[], None]) -> None:
        self._watcher = watcher
        self.fd = fd
        self.on_hangup = on_hangup
        if watcher is not None:
            watcher.add(self)

    def close(self) -> None:
        """End the watch. ``on_hangup`` does not begin to run afterwards, but may still be running."""
        if self._watcher is not None:
            self._watcher.remove(self)
            self._watcher = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def watch(environ: Mapping[str, Any], on_hangup: Callable[[], None]) -> Watch:
    """Call ``on_hangup``, from another thread and at most once, when the request's client hangs up.

    Args:
        environ: The request's WSGI environment; gunicorn's has the client's socket.
        on_hangup: Must be quick.
    """
    connection = environ.get("gunicorn.socket")
    if not _HAS_EPOLL or not isinstance(connection, socket.socket) or connection.fileno() < 0:
        return Watch(None, -1, on_hangup)
    return Watch(_process_watcher(), connection.fileno(), on_hangup)


class _Watcher:
    """Waits on sockets in a thread of its own.

    An event names a descriptor only, and may be handled after its watch has ended and the number has
    passed to another client. So before a callback is called the socket itself is asked again, under
    the lock that ends watches: while a watch lasts, its descriptor cannot change hands. And a watch
    ends only itself, should it be closed late.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._watches: dict[int, Watch] = {}
        threading.Thread(target=self._run, name="hangup", daemon=True).start()

    def add(self, started: Watch) -> None:
        with self._lock:
            self._watches[started.fd] = started
            try:
                self._epoll.register(started.fd, _EVENTS)
            except FileExistsError:  # a second watch of the same request; the later one counts
                self._epoll.modify(started.fd, _EVENTS)

    def remove(self, ended: Watch) -> None:
        with self._lock:
            if self._watches.get(ended.fd) is ended:
                self._forget(ended.fd)

    def _run(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                gone = self._take_if_gone(fd)
                if gone is None:
                    continue
                try:
                    gone.on_hangup()
                except Exception as error:  # were this thread to end, no hang-up would be noticed any more
                    log("ERROR", "hangup.callback_failed", error=type(error).__name__)

    def _take_if_gone(self, fd: int) -> Watch | None:
        with self._lock:
            found = self._watches.get(fd)
            if found is not None:
                if _is_gone(fd):
                    self._forget(fd)
                    return found
                self._epoll.modify(fd, _EVENTS)
            return None

    def _forget(self, fd: int) -> None:
        del self._watches[fd]
        with suppress(OSError):  # closed too early, it has left the epoll set by itself
            self._epoll.unregister(fd)


def _is_gone(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return bool(poll.poll(0))


@cache
def _process_watcher() -> _Watcher:
    return _Watcher()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process_watcher.cache_clear)
