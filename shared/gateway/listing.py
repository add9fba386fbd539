"""The small routes: models, health, receipt keys and the OpenAPI document."""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec
from flask import Request, Response

from shared.gateway.call import Call
from shared.gateway.openapi import openapi_document
from shared.gateway.services import Services
from shared.policy.types import PolicyFile
from shared.web.responses import json_response

_POLICY_EPOCH = 1_700_000_000
"""OpenAI's format wants a creation time; an alias has none, so it is a constant."""


def list_models(services: Services, _request: Request, call: Call) -> Response:
    """``GET /v1/models``: the aliases that the policy allows."""
    services.uncharged.count(call.caller.key_id)
    models = [
        {"id": alias, "object": "model", "created": _POLICY_EPOCH, "owned_by": "wardgate"}
        for alias in sorted(services.policy.file.models)
    ]
    return json_response({"object": "list", "data": models})


def health(_services: Services) -> Response:
    """``GET /healthz``: that this process answers, and nothing about anything else."""
    return json_response({"status": "ok"})


def jwks(services: Services) -> Response:
    """``GET /.well-known/jwks.json``: the keys that receipts are verified with."""
    return json_response(services.public_keys(), headers={"cache-control": "public, max-age=300"})


def openapi(policy: PolicyFile) -> Callable[[Services], Response]:
    """``GET /openapi.json``: what is served, as OpenAPI 3.1. Made when somebody asks: most processes never see that."""
    document = functools.cache(lambda: msgspec.json.encode(openapi_document(policy)))
    return lambda _services: json_response(document())
