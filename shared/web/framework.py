"""What functions-framework would do by itself and must not: answer in HTML, and read whole bodies into memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress

from flask import Request, Response, current_app, has_app_context
from flask import request as current_request

_CHUNK = 64 * 1024
_DRAIN = 32 * 1024 * 1024
"""Cloud Run's own limit for an HTTP/1 request body."""


def answer_every_path(handler: Callable[[Request], Response]) -> None:
    """Have ``handler`` answer also what the framework keeps to itself: robots.txt, favicon.ico and paths
    with a line break. Call it while the function's module is imported."""
    if has_app_context():
        current_app.register_error_handler(404, lambda _: handler(current_request))


def discard_body(request: Request) -> None:
    """Read away what is left of the body, so that a client which is still sending sees the answer, not a reset.

    The framework does this too, but keeps all it reads, however much, and fails on a body that breaks off.
    """
    drained = 0
    with suppress(Exception):  # the client has left, or the body's framing is broken: the server's own errors
        while drained < _DRAIN and (chunk := request.stream.read(_CHUNK)):
            drained += len(chunk)
    request.stream = io.BytesIO()
