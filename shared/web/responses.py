"""Answers in JSON, and errors in OpenAI's shape or as RFC 9457 problem details where the caller asks for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response

from shared.errors import ApiError

PROBLEM = "application/problem+json"


def json_response(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Encode ``body`` (anything msgspec encodes, or bytes that are JSON already)."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(data, status, headers=dict(headers or {}), content_type="application/json")


def error_body(error: ApiError) -> dict[str, Any]:
    """OpenAI's shape of an error, also used inside event streams."""
    return {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code},
    }


def error_response(error: ApiError, request_id: str, accept: str = "") -> Response:
    """The answer for an error.

    Args:
        error: What went wrong.
        request_id: Given back so that the caller can quote it.
        accept: The request's ``Accept`` header; one that names ``application/problem+json`` gets that.
    """
    headers = {**error.headers, "x-request-id": request_id}
    if PROBLEM not in accept.lower():
        return json_response(error_body(error), status=error.status, headers=headers)
    problem = {
        "type": f"urn:wardgate:error:{error.code}",
        "title": error.type,
        "status": error.status,
        "detail": error.message,
        "instance": f"urn:wardgate:request:{request_id}",
        "code": error.code,
        "param": error.param,
    }
    response = json_response(problem, status=error.status, headers=headers)
    response.content_type = PROBLEM
    return response
