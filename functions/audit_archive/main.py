"""audit_archive: a CloudEvent function that stores each audit event once."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent
from flask import current_app

from shared.audit.archive import Archive
from shared.audit.record import MAX_RECORD_BYTES
from shared.stores.connect import connect_objects
from shared.web.sink import prepare_app, take
from shared.web.start import once, start

_START = start({"objects"})


@once
def _archive() -> Archive:
    """Made with the first event, after gunicorn's fork."""
    return Archive(connect_objects(_START.settings.objects))


@functions_framework.cloud_event
def audit_archive(event: CloudEvent) -> None:
    """Take one event."""
    take(event, _archive())


# The framework runs this module inside the application's context.
prepare_app(current_app, max_bytes=MAX_RECORD_BYTES)
