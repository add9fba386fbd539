"""CORS from the policy's exact origins (https://fetch.spec.whatwg.org/#http-cors-protocol).

A preflight carries no credentials, so it is answered before anybody is authenticated; and errors carry
the same headers as answers, or a browser's code could not read them.
"""

from __future__ import annotations

from collections.abc import Collection

from flask import Request, Response

from shared.policy.types import Cors

_ALLOWED_HEADERS = frozenset(
    {"accept", "authorization", "content-type", "idempotency-key", "traceparent", "user-agent", "x-request-id"}
    | {"openai-organization", "openai-project"}
)
_SDK_PREFIX = "x-stainless-"
"""The OpenAI SDKs send a dozen headers that start so; their names change from version to version."""

_EXPOSED_HEADERS = ", ".join(
    [
        "wardgate-receipt",
        "wardgate-hold-back",
        "wardgate-notice",
        "idempotent-replayed",
        "x-request-id",
        "x-should-retry",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ]
)


class CorsRules:
    """Adds CORS headers for the origins that the policy names."""

    def __init__(self, policy: Cors) -> None:
        self._origins = frozenset(policy.origins)
        self._max_age = str(policy.max_age_seconds)

    def preflight(self, request: Request, methods: Collection[str]) -> Response:
        """Answer an ``OPTIONS`` request for a route with these methods."""
        response = Response(status=204, headers={"allow": ", ".join(sorted({*methods, "OPTIONS"}))})
        if request.headers.get("origin") in self._origins:
            asked = request.headers.get("access-control-request-headers", "").lower().split(",")
            allowed = [name for name in map(str.strip, asked) if _may_send(name)]
            response.headers["access-control-allow-methods"] = ", ".join(sorted(methods))
            response.headers["access-control-allow-headers"] = ", ".join(allowed)
            response.headers["access-control-max-age"] = self._max_age
        return response

    def apply(self, request: Request, response: Response) -> Response:
        """Add what every answer needs, errors included."""
        if not self._origins:
            return response
        response.headers.add("vary", "Origin")
        origin = request.headers.get("origin")
        if origin is not None and origin in self._origins:
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-expose-headers"] = _EXPOSED_HEADERS
        return response


def _may_send(name: str) -> bool:
    return name in _ALLOWED_HEADERS or (name.startswith(_SDK_PREFIX) and name.replace("-", "").isalnum())
