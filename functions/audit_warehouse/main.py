"""audit_warehouse: a CloudEvent function that turns each audit event into rows of the warehouse."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent
from flask import current_app

from shared.audit.record import MAX_RECORD_BYTES
from shared.warehouse.connect import connect_warehouse
from shared.warehouse.sink import WarehouseSink
from shared.web.sink import prepare_app, take
from shared.web.start import faults_end_the_start, once, start

_START = start({"warehouse"})
with faults_end_the_start():  # also imports the adapter before gunicorn forks
    connect_warehouse(_START.settings.warehouse)


@once
def _sink() -> WarehouseSink:
    """Made with the first event, after gunicorn's fork."""
    return WarehouseSink(connect_warehouse(_START.settings.warehouse), _START.policy.file.models)


@functions_framework.cloud_event
def audit_warehouse(event: CloudEvent) -> None:
    """Take one event."""
    take(event, _sink())


# The framework runs this module inside the application's context.
prepare_app(current_app, max_bytes=MAX_RECORD_BYTES)
