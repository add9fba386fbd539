"""A function that takes CloudEvents: how it hands them on, and how it refuses what it cannot take.

The status tells the bus what to do: 2xx, the event is stored; 4xx, it will never be taken, so that it
becomes a dead letter with the answer's ``code`` as its reason; 5xx, it is to be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cloudevents.http import CloudEvent
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, InternalServerError

from shared.errors import ApiError, BadRequest, ServiceUnavailable, StoreError
from shared.web.log import log
from shared.web.responses import error_body, json_response


class EventSink(Protocol):
    """Takes events off the bus, each once, however often it comes."""

    def store(self, attributes: Mapping[str, str], data: bytes) -> None:
        """Take one event; on return it is safe, and taking it again does nothing.

        Args:
            attributes: The CloudEvent's context attributes.
            data: Its data.

        Raises:
            ApiError: With a status below 500: it will never be taken.
            StoreError: It is not stored, and is to be sent again.
        """


def take(event: CloudEvent, sink: EventSink) -> None:
    """Hand an event to a sink; the bytes as they came, since the framework's copy has been parsed."""
    g.is_event = True
    sink.store(event.get_attributes(), request.get_data())


def prepare_app(app: Flask, *, max_bytes: int) -> None:
    """Have the framework's application refuse in a few words, where its own pages repeat headers and body.

    Call it while the function's module is imported.

    Args:
        app: The application that the function is going to serve.
        max_bytes: The largest body that is read.
    """
    app.config["MAX_CONTENT_LENGTH"] = max_bytes
    app.add_url_rule("/healthz", "healthz", lambda: json_response({"status": "ok"}))
    for kind in (HTTPException, InternalServerError, Exception):
        app.register_error_handler(kind, _refuse)


def _refuse(error: Exception) -> Response:
    told = _told(error)
    log(
        "WARNING" if told.status < 500 else "ERROR",
        "audit.refused",
        code=told.code,
        status=told.status,
        error=type(error).__name__,
    )
    return json_response(error_body(told), status=told.status)


def _told(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case StoreError():
            return ServiceUnavailable("The event cannot be stored now; send it again.")
        case HTTPException(code=int(code)) if code != 500:
            told = BadRequest(f"Refused: {error.name}.", code="too_large" if code == 413 else "malformed_event")
            told.status = code
            return told
        case _ if "is_event" not in g:  # the framework could not read it, so it never reached the sink
            return BadRequest("The request is not a CloudEvent in binary mode.", code="malformed_event")
        case _:
            return ApiError("The event could not be stored.")
