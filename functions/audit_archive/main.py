"""audit_archive: a CloudEvent function that stores each audit event once."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent
from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException, InternalServerError

from shared.audit.archive import Archive
from shared.audit.record import MAX_RECORD_BYTES
from shared.errors import ApiError, BadRequest, ServiceUnavailable, StoreUnavailable
from shared.stores.connect import connect_objects
from shared.web.log import log
from shared.web.responses import error_body, json_response
from shared.web.start import once, start

_START = start({"objects"})


@once
def _archive() -> Archive:
    return Archive(connect_objects(_START.settings.objects))


@functions_framework.cloud_event
def audit_archive(event: CloudEvent) -> None:
    """Store the event; the bytes are taken as they came, since the framework's copy has been parsed."""
    g.is_event = True
    _archive().store(event.get_attributes(), request.get_data())


def _refuse(error: Exception) -> Response:
    """Every refusal in a few words: the framework's own pages repeat headers and body."""
    match error:
        case ApiError():
            told = error
        case StoreUnavailable():
            told = ServiceUnavailable("The archive cannot be reached; send the event again.")
        case HTTPException(code=int(code)) if code != 500:
            told = BadRequest(f"Refused: {error.name}.", code="malformed_event")
            told.status = code
        case _ if "is_event" not in g:  # the framework could not read it, so it never reached this function
            told = BadRequest("The request is not a CloudEvent in binary mode.", code="malformed_event")
        case _:
            told = ApiError("The event could not be stored.")
    log(
        "WARNING" if told.status < 500 else "ERROR",
        "audit.refused",
        code=told.code,
        status=told.status,
        error=type(error).__name__,
    )
    return json_response(error_body(told), status=told.status)


# The framework runs this module inside the application's context.
current_app.config["MAX_CONTENT_LENGTH"] = MAX_RECORD_BYTES
for kind in (HTTPException, InternalServerError, Exception):
    current_app.register_error_handler(kind, _refuse)
