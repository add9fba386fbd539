"""The gateway: finds the route, knows the caller, and turns every outcome into an answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal

from flask import Request, Response
from msgspec import Struct

from shared.audit.port import TurnedAway
from shared.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    Unauthenticated,
    UnsupportedMediaType,
)
from shared.gateway.admin import PATH as KEYS_PATH
from shared.gateway.admin import ROTATE_PATH, AdminRoute, administer, create_key, rotate_key
from shared.gateway.call import Call
from shared.gateway.chat import chat
from shared.gateway.exchange import Exchange
from shared.gateway.kill import refuse_killed
from shared.gateway.listing import health, jwks, list_models, openapi
from shared.gateway.scan import scan
from shared.gateway.services import Services
from shared.identity.addresses import client_address
from shared.identity.caller import Caller, Scope
from shared.switch.state import scopes_of
from shared.web.cors import CorsRules
from shared.web.framework import discard_body
from shared.web.http_client import CallCancelled
from shared.web.log import log, trace_id_of
from shared.web.request import request_id_of
from shared.web.responses import error_response

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_UNCHARGED = (BadRequest, Conflict, Forbidden, NotFound, PayloadTooLarge, RequestTimeout, UnsupportedMediaType)
"""Mostly refused before a limit was charged, so they count on the key's cap in this process."""

_CLIENT_GONE = 499
"""nginx's status for it; nobody reads the answer."""

Handler = Callable[[Services, Request, Call], Response]
OpenHandler = Callable[[Services], Response]


class Route(Struct, frozen=True):
    """A route that asks for a credential of this scope."""

    method: str
    scope: Scope
    handler: Handler
    name: str
    """What the audit trail calls it."""


class OpenRoute(Struct, frozen=True):
    """A route that anybody may read."""

    handler: OpenHandler
    method: str = "GET"


class Gateway:
    """Answers every request to guard."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cors = CorsRules(services.policy.file.cors)
        self._trusted_proxies = services.policy.file.identity.trusted_proxies
        self._routes: dict[str, Route | OpenRoute | AdminRoute] = {
            "/v1/chat/completions": Route("POST", "chat", chat, "chat.completions"),
            "/v1/models": Route("GET", "models", list_models, "models"),
            "/v1/scan": Route("POST", "scan", scan, "scan"),
            "/healthz": OpenRoute(health),
            "/openapi.json": OpenRoute(openapi(services.policy.file)),
            "/.well-known/jwks.json": OpenRoute(jwks),
        }
        if services.admin is not None:
            self._routes[KEYS_PATH] = AdminRoute(services.admin, create_key)
            self._routes[ROTATE_PATH] = AdminRoute(services.admin, rotate_key)

    def __call__(self, request: Request) -> Response:
        """Answer one request. Never raises."""
        started = self._services.clock.time_ns()
        request_id = request_id_of(request.headers.get("x-request-id"), "req_" + secrets.token_hex(12))
        trace_id = trace_id_of(request.headers.get("traceparent"))
        code: str | None = None
        try:
            response = self._answer(request, request_id, trace_id)
        except ApiError as error:
            code = error.code
            response = error_response(error, request_id, request.headers.get("accept", ""))
        except CallCancelled:
            code = "client_gone"
            response = Response(status=_CLIENT_GONE)
        except Exception as error:  # the last line of defence: a traceback could hold a prompt
            code = "internal_error"
            log("ERROR", "request.crashed", trace_id=trace_id, request_id=request_id, error=type(error).__name__)
            response = error_response(ApiError("Wardgate failed."), request_id, request.headers.get("accept", ""))
        if not response.is_streamed:
            discard_body(request)
        response.headers["x-request-id"] = request_id
        log(
            "INFO" if response.status_code < 500 else "ERROR",
            "request.answered",
            trace_id=trace_id,
            request_id=request_id,
            method=request.method if request.method in _METHODS else "other",
            route=request.path if request.path in self._routes else "other",
            status=response.status_code,
            code=code,
            milliseconds=(self._services.clock.time_ns() - started) // 1_000_000,
        )
        return self._cors.apply(request, response)

    def _answer(self, request: Request, request_id: str, trace_id: str | None) -> Response:
        route = self._routes.get(request.path)
        if route is None and request.method == "OPTIONS":
            self._services.unauthenticated.count(self._address(request))
            return self._cors.preflight(request, {"GET", "POST"})
        if route is None:
            nowhere = NotFound("There is no such route; see /openapi.json for those there are.")
            self._note(Call(request_id, self._authenticate(request), trace_id), nowhere)
            raise nowhere
        if isinstance(route, AdminRoute):
            return self._administer(route, request)
        if request.method == "OPTIONS":
            self._services.unauthenticated.count(self._address(request))
            return self._cors.preflight(request, {route.method})
        if request.method != route.method and not (isinstance(route, OpenRoute) and request.method == "HEAD"):
            self._services.unauthenticated.count(self._address(request))
            allow = f"{route.method}, OPTIONS"
            raise MethodNotAllowed(f"The route takes {allow}.", headers={"allow": allow})
        if isinstance(route, OpenRoute):
            self._services.unauthenticated.count(self._address(request))
            return route.handler(self._services)
        caller = self._authenticate(request)
        call = Call(request_id, caller, trace_id)
        try:
            if not caller.may(route.scope):
                raise Forbidden(f"The credential lacks the scope '{route.scope}'.")
            self._refuse_killed(route, call)
            return route.handler(self._services, request, call)
        except ApiError as error:
            self._note(call, error)
            if isinstance(error, _UNCHARGED):
                self._services.uncharged.count(caller.key_id)
            raise

    def _administer(self, route: AdminRoute, request: Request) -> Response:
        """Answer an operator. Whoever is none counts as a failed login; no browser is let in from elsewhere."""
        try:
            return administer(route, request)
        except (Unauthenticated, Forbidden, MethodNotAllowed):
            self._services.failures.count(self._address(request))
            raise

    def _note(self, call: Call, error: ApiError) -> None:
        """Count what has no event of its own: refused as malformed, or denied by a cap of this process."""
        if call.recorded or not isinstance(error, (*_UNCHARGED, RateLimited)):
            return
        call.recorded = True
        decision: Literal["denied", "refused"] = "denied" if isinstance(error, RateLimited) else "refused"
        self._services.trail.turned_away(TurnedAway(call.caller.tenant, call.caller.key_id, decision, error=error.code))

    def _refuse_killed(self, route: Route, call: Call) -> None:
        """Refuse a caller who is switched off, before the body is read."""
        services, caller = self._services, call.caller
        exchange = Exchange(services, call, route.name, caller, services.clock.time_ns(), user=caller.user)
        refuse_killed(exchange, scopes_of(caller.tenant, caller.key_id))

    def _authenticate(self, request: Request) -> Caller:
        try:
            return self._services.authenticator.authenticate(request.headers)
        except Unauthenticated:
            self._services.failures.count(self._address(request))
            raise

    def _address(self, request: Request) -> str:
        """What a request of somebody unknown is counted on."""
        return client_address(request.remote_addr or "", request.headers.get("x-forwarded-for"), self._trusted_proxies)
