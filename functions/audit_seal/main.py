"""audit_seal: an HTTP function that Cloud Scheduler calls every five minutes; it seals what is new in the archive.

In production Cloud Run lets in only Scheduler's service account, by its OIDC token.
"""

from __future__ import annotations

from uuid import uuid4

import functions_framework
from flask import Request, Response

from shared.audit.sealer import Sealer, SealReport
from shared.clock import SystemClock
from shared.errors import ApiError, ConfigurationError, MethodNotAllowed, ServiceUnavailable, StoreError
from shared.stores.connect import connect_documents, connect_objects, connect_secrets, connect_signer
from shared.web.framework import discard_body
from shared.web.log import log
from shared.web.request import request_id_of
from shared.web.responses import error_response, json_response
from shared.web.start import once, start

_START = start({"objects", "documents", "secrets", "signer"})


@once
def _sealer() -> Sealer:
    settings = _START.settings
    documents = connect_documents(settings.documents)
    signer = connect_signer(settings.signer, connect_secrets(settings.secrets), documents)
    return Sealer(connect_objects(settings.objects), documents, signer, SystemClock())


@functions_framework.http
def audit_seal(request: Request) -> Response:
    """POST seals, as often as it is called; ``/healthz`` says that the process serves."""
    discard_body(request)  # Scheduler's call has none that matters
    if request.path == "/healthz":
        return json_response({"status": "ok"})
    request_id = request_id_of(request.headers.get("x-request-id"), uuid4().hex)
    try:
        report = _seal(request.method)
    except ApiError as error:
        return error_response(error, request_id, request.headers.get("accept", ""))
    log(
        "WARNING" if report.refused else "INFO",
        "audit.sealed",
        request_id=request_id,
        checkpoints=len(report.checkpoints),
        events=report.events,
        refused=report.refused,
        more=int(report.more),
    )
    return json_response(report, headers={"x-request-id": request_id})


def _seal(method: str) -> SealReport:
    if method != "POST":
        raise MethodNotAllowed("Send POST.", headers={"allow": "POST"})
    try:
        return _sealer().seal()
    except (StoreError, ConfigurationError) as error:
        log("ERROR", "audit.seal_failed", error=type(error).__name__)
        raise ServiceUnavailable("The trail cannot be sealed now; the next call tries again.") from error
