"""model: an HTTP function between guard and the models. Only guard's service account may call it."""

from __future__ import annotations

import functions_framework
from flask import Request, Response

from shared.identity.service_verifier import connect_verifier
from shared.models.connect import connect_router, import_adapters
from shared.models.service import ModelService
from shared.web.framework import answer_every_path
from shared.web.start import once, start

_START = start({"documents", "secrets", "model_url", "identity", "guard_service_account"})
import_adapters(_START.policy.file, _START.settings)


@once
def _service() -> ModelService:
    """Made with the first request: this module is imported before gunicorn forks."""
    settings, policy = _START.settings, _START.policy.file
    verifier = connect_verifier(
        settings.identity, audience=settings.model_url, service_account=settings.guard_service_account
    )
    return ModelService(policy, connect_router(policy, settings), verifier)


@functions_framework.http
def model(request: Request) -> Response:
    """Answer one request."""
    return _service()(request)


answer_every_path(lambda request: _service()(request))
