"""rotate_secrets: an HTTP function that Cloud Scheduler calls; it makes missing secrets and reports which are due.

In production Cloud Run lets in only Scheduler's service account, by its OIDC token.
"""

from __future__ import annotations

from uuid import uuid4

import functions_framework
from flask import Request, Response

from shared.clock import SystemClock
from shared.errors import ApiError, ConfigurationError, MethodNotAllowed, ServiceUnavailable, StoreError
from shared.rotation import service
from shared.stores.connect import connect_secrets
from shared.stores.secrets import SecretStore
from shared.web.framework import discard_body
from shared.web.log import log
from shared.web.request import request_id_of
from shared.web.responses import error_response, json_response
from shared.web.start import once, start

_START = start({"secrets"})
_CLOCK = SystemClock()


@once
def _store() -> SecretStore:
    return connect_secrets(_START.settings.secrets)


@functions_framework.http
def rotate_secrets(request: Request) -> Response:
    """POST makes what is missing and reports; GET only reports; ``/healthz`` says that the process serves."""
    discard_body(request)  # Scheduler's call has none that matters
    if request.path == "/healthz":
        return json_response({"status": "ok"})
    request_id = request_id_of(request.headers.get("x-request-id"), uuid4().hex)
    try:
        report = _report(request.method)
    except ApiError as error:
        return error_response(error, request_id, request.headers.get("accept", ""))
    overdue = sum(secret.status != "ok" for secret in report.secrets)
    log("INFO", "rotation.report", request_id=request_id, made=len(report.made), due_or_missing=overdue)
    return json_response(report, headers={"x-request-id": request_id})


def _report(method: str) -> service.RotationReport:
    if method not in ("GET", "POST"):
        raise MethodNotAllowed("Send GET or POST.", headers={"allow": "GET, POST"})
    work = service.run if method == "POST" else service.status
    try:
        return work(_store(), _START.policy.file, _CLOCK)
    except (StoreError, ConfigurationError) as error:
        log("ERROR", "rotation.failed", error=type(error).__name__)
        raise ServiceUnavailable("The secret store cannot be used now; the next call tries again.") from error
