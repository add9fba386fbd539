"""audit_alerts: a CloudEvent function that counts what subjects do and raises alerts."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent
from flask import current_app

from shared.alerts.assemble import assemble, import_adapters
from shared.alerts.sink import AlertsSink
from shared.audit.record import MAX_RECORD_BYTES
from shared.web.sink import prepare_app, take
from shared.web.start import faults_end_the_start, once, start

_START = start({"documents", "events", "alerts"})
with faults_end_the_start():  # before gunicorn forks
    import_adapters(_START)


@once
def _sink() -> AlertsSink:
    """Made with the first event: connections and the audit chain belong to one process."""
    return assemble(_START)


@functions_framework.cloud_event
def audit_alerts(event: CloudEvent) -> None:
    """Take one event."""
    take(event, _sink())


# The framework runs this module inside the application's context.
prepare_app(current_app, max_bytes=MAX_RECORD_BYTES)
