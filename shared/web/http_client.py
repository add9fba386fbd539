"""A keep-alive HTTP client for the hot path: a total deadline per call, size limits, and an end from another thread.

It speaks HTTP/1.1 to one origin, and reads bodies with ``http.client``: a third of the CPU of urllib3 for
each call, and nothing to import that Flask has not imported already. Redirects are not followed,
proxies from the environment are not used, certificates are verified, answers are not decompressed.

    HttpError                 the call failed
    ├── ConnectFailed           no connection was made, so nothing was sent
    ├── ConnectionBroken        the connection ended, or what came is not HTTP or is cut short
    ├── DeadlineExceeded        the total time is over
    └── AnswerTooLarge          the answer is larger than the caller takes
    CallCancelled             another thread ended the call
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from http.client import HTTPException
from types import TracebackType
from typing import NoReturn
from urllib.parse import urlsplit

from shared.errors import WardgateError
from shared.web.cancellation import CallCancelled, Cancellation
from shared.web.http_head import Answer, Fields
from shared.web.http_wire import Wire, open_wire

__all__ = [
    "AnswerTooLarge",
    "CallCancelled",
    "Cancellation",
    "ConnectFailed",
    "ConnectionBroken",
    "DeadlineExceeded",
    "HttpClient",
    "HttpError",
    "Response",
]

_PIECE = 64 * 1024
"""Bytes of a body that are read at once, at most."""

_RELEASE_GRACE = 0.005
"""How long ``Response.release`` waits for the end of the body, in seconds."""


class HttpError(WardgateError):
    """The call failed."""


class ConnectFailed(HttpError):
    """No connection was made, so nothing was sent."""


class ConnectionBroken(HttpError):
    """The connection ended, or what came over it is not HTTP or is cut short."""


class DeadlineExceeded(HttpError):
    """The total time is over."""


class AnswerTooLarge(HttpError):
    """The answer is larger than the caller takes."""


class Response:
    """The answer to one call. Close it, best by ``with``; read to its end, its connection is used again."""

    def __init__(self, client: HttpClient, wire: Wire, parsed: Answer, cancel: Cancellation) -> None:
        self._client = client
        self._wire: Wire | None = wire
        self._parsed = parsed
        self._cancel = cancel
        self.status = parsed.status
        self.headers: Fields = parsed.fields

    def extend(self, deadline: float) -> None:
        """Give the rest of the answer until ``deadline`` (``time.monotonic()``)."""
        if self._wire is not None:
            self._wire.deadline = deadline

    def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            AnswerTooLarge: It has more than ``limit`` bytes.
        """
        return b"".join(self.pieces(limit))

    def pieces(self, limit: int) -> Iterator[bytes]:
        """The body as it arrives, in pieces that are never empty.

        Raises:
            AnswerTooLarge: It has more than ``limit`` bytes.
        """
        taken = 0
        if self._parsed.length is not None and self._parsed.length > limit:
            self.close()
            raise AnswerTooLarge(f"The answer is larger than {limit} bytes.")
        while self._wire is not None:
            try:
                piece = self._parsed.read1(_PIECE)
            except (OSError, HTTPException, ValueError) as error:
                self._fail(error)
            if not piece:
                if self._cancel.cancelled:  # the end of a body without a length looks the same
                    self._fail(ConnectionError("cancelled"))
                self._finish()
                return
            taken += len(piece)
            if taken > limit:
                self.close()
                raise AnswerTooLarge(f"The answer is larger than {limit} bytes.")
            yield piece

    def release(self) -> None:
        """Say that nothing more is wanted: the connection is kept if the body's end is here or about to come."""
        if self._wire is None:
            return
        self._wire.deadline = time.monotonic() + _RELEASE_GRACE
        try:
            more = self._parsed.read1(_PIECE) or self._parsed.length
        except (OSError, HTTPException, ValueError):
            more = True
        if more:
            self.close()
        else:
            self._finish()

    def close(self) -> None:
        """Drop the connection, unless the body was read to its end. Safe to call twice."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            self._cancel.detach()
            wire.close()

    def _finish(self) -> None:
        """The body is at its end: check that it was whole, and give the connection back."""
        wire = self._wire
        if wire is None:
            return
        if self._parsed.length:
            self._fail(ConnectionError("cut short"))
        if self._parsed.will_close or wire.has_leftover():
            self.close()
            return
        self._wire = None
        self._cancel.detach()
        self._client.put_back(wire)

    def _fail(self, error: Exception) -> NoReturn:
        wire = self._wire
        self.close()
        self._cancel.check()
        raise _translated(error, wire.deadline if wire is not None else 0.0) from None

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class HttpClient:
    """Calls one origin over kept-alive connections. Safe for threads; make it after the fork."""

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float,
        idle_seconds: float = 60.0,
        max_idle: int = 256,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        Args:
            base_url: ``http`` or ``https`` URL; its path goes before the path of each call.
            connect_timeout: Seconds for the TCP and TLS handshakes together. The resolver's own
                timeout comes on top: it cannot be interrupted.
            idle_seconds: How long an unused connection is kept.
            max_idle: How many unused connections are kept.
            tls: Used in place of the system's certificate authorities.
        """
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("the base URL is not an http or https URL")
        self._host = url.hostname
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = (tls or _system_authorities()) if url.scheme == "https" else None
        self._path = url.path.rstrip("/")
        self._host_header = url.netloc.rpartition("@")[2]
        self._connect_timeout = connect_timeout
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._idle: deque[Wire] = deque()

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        deadline: float,
        cancel: Cancellation | None = None,
        pulse: Callable[[], None] | None = None,
    ) -> Response:
        """Send a request and read the head of its answer.

        A kept-alive connection that turns out to be closed before the first byte of an answer is
        replaced once by a new one; nothing else is tried twice.

        Args:
            method: The request's method, anything but HEAD.
            path: Appended to the base URL's path.
            headers: Without ``host``, ``content-length`` and ``accept-encoding``, which are set here.
            body: The request's body.
            deadline: When the whole answer must have been read (``time.monotonic()``).
            cancel: Ends the call from another thread.
            pulse: Called twice a second while the call waits for the answer or for more of it; what it
                raises ends the call.

        Raises:
            HttpError: The call failed.
            CallCancelled: ``cancel`` was used.
        """
        cancel = cancel or Cancellation()
        request = self._serialise(method, path, headers, body)
        wire = self._take_idle()
        if wire is not None:
            try:
                return self._exchange(wire, method, request, deadline, cancel, pulse)
            except ConnectionBroken:
                if wire.answered:
                    raise
        return self._exchange(self._connect(deadline, cancel), method, request, deadline, cancel, pulse)

    def put_back(self, wire: Wire) -> None:
        """Keep a connection whose answer was read to its end."""
        wire.idle_since = time.monotonic()
        self._idle.append(wire)
        if len(self._idle) > self._max_idle:
            with suppress(IndexError):
                self._idle.popleft().close()

    def close(self) -> None:
        """Close the unused connections."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def _serialise(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        lines = [f"{method} {self._path}{path} HTTP/1.1", f"host: {self._host_header}", "accept-encoding: identity"]
        lines.extend(f"{name}: {value}" for name, value in headers.items())
        lines.append(f"content-length: {len(body)}\r\n\r\n")
        head = "\r\n".join(lines)
        if not head.count("\r") == head.count("\n") == len(lines) + 1:
            raise ValueError("a header holds a line break")
        return head.encode("latin-1") + body

    def _take_idle(self) -> Wire | None:
        while self._idle:
            try:
                wire = self._idle.pop()
            except IndexError:  # another thread took the last one
                return None
            if time.monotonic() - wire.idle_since < self._idle_seconds and wire.is_quiet():
                return wire
            wire.close()
        return None

    def _connect(self, deadline: float, cancel: Cancellation) -> Wire:
        by = min(deadline, time.monotonic() + self._connect_timeout)
        try:
            return open_wire(self._host, self._port, tls=self._tls, by=by, cancel=cancel)
        except (OSError, ValueError) as error:
            cancel.check()
            if time.monotonic() >= deadline:
                raise DeadlineExceeded("The time was over before a connection was made.") from error
            raise ConnectFailed(f"No connection was made ({type(error).__name__}).") from error

    def _exchange(
        self,
        wire: Wire,
        method: str,
        request: bytes,
        deadline: float,
        cancel: Cancellation,
        pulse: Callable[[], None] | None,
    ) -> Response:
        try:
            cancel.attach(wire.socket)
            wire.deadline, wire.answered, wire.pulse = deadline, False, pulse
            wire.send(request)
            parsed = Answer(wire, method=method)  # type: ignore[arg-type]  # it calls makefile and no more
            parsed.begin()
        except (OSError, HTTPException, ValueError) as error:
            cancel.detach()
            wire.close()
            cancel.check()
            raise _translated(error, deadline) from None
        except BaseException:
            cancel.detach()
            wire.close()
            raise
        response = Response(self, wire, parsed, cancel)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            response.close()
            raise ConnectionBroken("The answer is compressed, which was not asked for.")
        return response


def _translated(error: Exception, deadline: float) -> HttpError:
    """The error as one of ours. Raised without its cause: the parser's errors quote what came."""
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return DeadlineExceeded("The answer did not come in time.")
    return ConnectionBroken(f"The connection broke ({type(error).__name__}).")


@cache
def _system_authorities() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
