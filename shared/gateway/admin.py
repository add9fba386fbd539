"""guard's admin routes: what operators do through guard, because guard may read secrets that they may not.

``POST /admin/keys`` makes an API key, which takes the value of the pepper. They are served only where
``WARDGATE_ADMIN_AUDIENCE`` and ``WARDGATE_ADMIN_ACCOUNTS`` are set; no API key opens them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from flask import Request, Response
from msgspec import Struct, field

from shared.audit.port import Operation, OperationTrail, Operator
from shared.errors import MethodNotAllowed, ServiceUnavailable, StoreError
from shared.identity.api_keys import ApiKeys, KeyRecord, NewKey
from shared.identity.bearer import Headers
from shared.identity.caller import DEFAULT_SCOPES
from shared.shapes import prepare
from shared.web.request import decode_json, read_json_body
from shared.web.responses import json_response

PATH = "/admin/keys"

_MAX_BYTES = 4096
_BODY_SECONDS = 10.0
_DEPTH = 3


class KeyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that an operator wants."""

    tenant: str = "default"
    name: str = "key"
    scopes: list[str] = field(default_factory=lambda: list(DEFAULT_SCOPES))
    not_after: datetime | None = None


prepare(KeyRequest)


class Operators(Protocol):
    """Knows operators; ``shared.identity.operators`` has the one, imported only where it is needed."""

    def verify(self, headers: Headers) -> str: ...


@dataclass(frozen=True, slots=True)
class Admin:
    """What the admin routes work with."""

    operators: Operators
    keys: ApiKeys
    trail: OperationTrail


@dataclass(frozen=True, slots=True)
class AdminRoute:
    """A route that asks for an operator's ID token."""

    admin: Admin
    handler: Callable[[Admin, Request, str], Response]
    method: str = "POST"


def create_key(admin: Admin, request: Request, account: str) -> Response:
    """Make a key; the answer is the only place where it is ever shown.

    A key whose making the trail did not take is revoked, and nobody has seen it.

    Raises:
        ApiError: The body is malformed, or a store does not answer.
    """
    body = read_json_body(request, _MAX_BYTES, _BODY_SECONDS)
    asked = decode_json(body, KeyRequest, depth=_DEPTH)
    made = admin.keys.create(asked.tenant, asked.name, asked.scopes, asked.not_after)
    operation = Operation("keys.create", f"key:{made.record.id}", Operator(account[:128], "id_token"))
    try:
        admin.trail.record_operation(operation)
    except StoreError as error:
        with suppress(StoreError):
            admin.keys.revoke(made.record.id)
        raise ServiceUnavailable(
            "The audit trail cannot take the event of this key, so it is not given out.", code="audit_unavailable"
        ) from error
    return json_response(_shown(made), status=201, headers={"cache-control": "no-store"})


def administer(route: AdminRoute, request: Request) -> Response:
    """Answer a request to an admin route.

    Raises:
        Unauthenticated: There is no ID token, or none that is believed.
        Forbidden: It is not an operator's.
        ApiError: As the handler says.
    """
    if request.method != route.method:
        raise MethodNotAllowed(f"The route takes {route.method}.", headers={"allow": route.method})
    return route.handler(route.admin, request, route.admin.operators.verify(request.headers))


def _shown(made: NewKey) -> dict[str, object]:
    record: KeyRecord = made.record
    return {
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "scopes": sorted(record.scopes),
        "created_at": record.created_at,
        "not_after": record.not_after,
        "key": made.key,
    }
