"""What functions-framework would do by itself and must not: answer in HTML, and read whole bodies into memory."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from contextlib import suppress

from flask import Request, Response, current_app, has_app_context
from flask import request as current_request

from shared.web.read_deadline import ReadDeadline

_CHUNK = 64 * 1024
_DRAIN = 32 * 1024 * 1024
"""Cloud Run's own limit for an HTTP/1 request body."""

_SILENCE_SECONDS = 0.5
_DRAIN_SECONDS = 2.0
"""A thread waits no longer for bytes that nobody wants, one by one or all together; else a few silent or
slow clients would hold them all."""


def answer_every_path(handler: Callable[[Request], Response]) -> None:
    """Have ``handler`` answer also what the framework keeps to itself: robots.txt, favicon.ico and paths
    with a line break. Call it while the function's module is imported."""
    if has_app_context():
        current_app.register_error_handler(404, lambda _: handler(current_request))


def discard_body(request: Request) -> None:
    """Read away what is left of the body, so that a client which is still sending sees the answer, not a reset.

    The framework does this too, but keeps all it reads, however much, waits for it however long, and fails on
    a body that breaks off.
    """
    if isinstance(request.stream, io.BytesIO):
        return
    connection = request.environ.get("gunicorn.socket")
    drained = 0
    # The client has left, is silent, or breaks the framing: errors that are the server's own.
    with suppress(Exception), ReadDeadline(request.environ, _DRAIN_SECONDS):
        if isinstance(connection, socket.socket):
            connection.settimeout(_SILENCE_SECONDS)
        while drained < _DRAIN and (chunk := request.stream.read(_CHUNK)):
            drained += len(chunk)
    if isinstance(connection, socket.socket):
        connection.settimeout(None)
    request.stream = io.BytesIO()
