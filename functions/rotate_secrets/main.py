"""rotate_secrets: an HTTP function that Cloud Scheduler calls, and Pub/Sub with Secret Manager's notifications.

In production Cloud Run lets in only their service accounts, by OIDC tokens, and whom operators grant it.
"""

from __future__ import annotations

import atexit
from uuid import uuid4

import functions_framework
from flask import Request, Response

from shared.clock import SystemClock
from shared.errors import ApiError, ConfigurationError, MethodNotAllowed, ServiceUnavailable, StoreError
from shared.rotation.alerts import AlertingLog
from shared.rotation.machine import Order
from shared.rotation.notification import MAX_BYTES, ROTATE, read_notification
from shared.rotation.order_request import MAX_BYTES as MAX_ORDER_BYTES
from shared.rotation.order_request import read_order
from shared.rotation.service import RotationService, RunReport
from shared.rotation.telling import Telling
from shared.stores.connect import connect_documents, connect_events, connect_secrets
from shared.web.framework import discard_body
from shared.web.log import log
from shared.web.request import read_json_body, request_id_of
from shared.web.responses import error_response, json_response
from shared.web.start import once, start

_BODY_SECONDS = 10.0
"""Longest time that a message may take to arrive."""

_START = start({"documents", "events", "secrets", "alerts"})


@once
def _service() -> RotationService:
    settings = _START.settings
    store, documents = connect_secrets(settings.secrets), connect_documents(settings.documents)
    clock = SystemClock()
    log = AlertingLog(connect_events(settings.alerts, setting="WARDGATE_ALERTS"), documents, clock)
    policy = _START.policy.file
    tell = Telling(settings, documents)
    atexit.register(tell.close)
    return RotationService(store, documents, policy, clock, log=log, tell=tell, environment=settings.environment)


@functions_framework.http
def rotate_secrets(request: Request) -> Response:
    """POST rotates what is due and reports; GET only reports; ``/orders`` takes operators' orders to rotate now and
    ``/notifications`` Secret Manager's messages; ``/healthz`` says that the process serves."""
    request_id = request_id_of(request.headers.get("x-request-id"), uuid4().hex)
    try:
        if request.path == "/notifications":
            return _notified(request, request_id)
        if request.path == "/orders":
            return _ordered(request, request_id)
        discard_body(request)  # Scheduler's call has none that matters
        if request.path == "/healthz":
            return json_response({"status": "ok"})
        return _report(request.method, request_id)
    except (StoreError, ConfigurationError) as error:
        log("ERROR", "rotation.unavailable", request_id=request_id, error=type(error).__name__)
        told: ApiError = ServiceUnavailable("A store cannot be used now; the next call tries again.")
    except ApiError as error:
        told = error
    discard_body(request)
    return error_response(told, request_id, request.headers.get("accept", ""))


def _report(method: str, request_id: str) -> Response:
    if method not in ("GET", "POST"):
        raise MethodNotAllowed("Send GET or POST.", headers={"allow": "GET, POST"})
    report = _service().run() if method == "POST" else RunReport((), _service().status())
    overdue = sum(secret.status != "ok" for secret in report.secrets)
    log("INFO", "rotation.report", request_id=request_id, due_or_missing=overdue)
    return json_response(report, headers={"x-request-id": request_id})


def _ordered(request: Request, request_id: str) -> Response:
    """Rotate now, as ``wardgate rotate run --now`` does."""
    if request.method != "POST":
        raise MethodNotAllowed("Send POST.", headers={"allow": "POST"})
    asked = read_order(read_json_body(request, MAX_ORDER_BYTES, _BODY_SECONDS))
    report = _service().run(asked.order, asked.secret)
    for tick in report.ticks:
        log("INFO", "rotation.ordered", request_id=request_id, secret=tick.secret, result=tick.result)
    return json_response(report, headers={"x-request-id": request_id})


def _notified(request: Request, request_id: str) -> Response:
    """A message is done with once it needs no second try: also one that is not for this function."""
    if request.method != "POST":
        raise MethodNotAllowed("Send POST.", headers={"allow": "POST"})
    message = read_notification(read_json_body(request, MAX_BYTES, _BODY_SECONDS))
    service = _service()
    if message.event == ROTATE and message.secret in service.names:
        (tick,) = service.run(Order(before=message.at), message.secret).ticks
        log("INFO", "rotation.notified", request_id=request_id, secret=message.secret, result=tick.result)
        if tick.result == "busy":
            raise ServiceUnavailable("Somebody else is rotating this secret; send the message again.")
    return json_response({"status": "ok"}, headers={"x-request-id": request_id})
