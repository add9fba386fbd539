"""guard's admin routes: what operators do through guard, because guard may read secrets that they may not.

``POST /admin/keys`` makes an API key and ``POST /admin/keys/rotate`` gives it another secret, which takes the value of
the pepper. They are served only where ``WARDGATE_ADMIN_AUDIENCE`` and ``WARDGATE_ADMIN_ACCOUNTS`` are set; no API key
opens them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Protocol

from flask import Request, Response
from msgspec import Meta, Struct, field

from shared.audit.port import Operation, OperationTrail, Operator
from shared.errors import MethodNotAllowed, NotFound, ServiceUnavailable, StoreError
from shared.identity.api_keys import ApiKeys, KeyRecord, NewKey
from shared.identity.bearer import Headers
from shared.identity.caller import DEFAULT_SCOPES
from shared.identity.key_format import is_key_id
from shared.identity.key_rotation import KeyRotation
from shared.shapes import prepare
from shared.web.request import decode_json, read_json_body
from shared.web.responses import json_response

PATH = "/admin/keys"
ROTATE_PATH = "/admin/keys/rotate"

_MAX_BYTES = 4096
_BODY_SECONDS = 10.0
_DEPTH = 3


class KeyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that an operator wants."""

    tenant: str = "default"
    name: str = "key"
    scopes: list[str] = field(default_factory=lambda: list(DEFAULT_SCOPES))
    not_after: datetime | None = None
    by_rotation: bool = False
    """Whether rotation makes its secrets; then none is made here."""


class RotateRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that is to get another secret."""

    id: str
    grace_seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)]
    """How long the one before stays good; 0: it ends at once."""


prepare(KeyRequest, RotateRequest)


class Operators(Protocol):
    """Knows operators; ``shared.identity.operators`` has the one, imported only where it is needed."""

    def verify(self, headers: Headers) -> str: ...


class Admin(Struct, frozen=True):
    """What the admin routes work with."""

    operators: Operators
    keys: ApiKeys
    rotation: KeyRotation
    trail: OperationTrail


class AdminRoute(Struct, frozen=True):
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
    given = (asked.tenant, asked.name, asked.scopes, asked.not_after)
    shown = _shown(admin.keys.reserve(*given)) if asked.by_rotation else _shown_new(admin.keys.create(*given))
    try:
        _record(admin, "keys.create", str(shown["id"]), account)
    except ServiceUnavailable:
        with suppress(StoreError):
            admin.keys.revoke(str(shown["id"]))
        raise
    return json_response(shown, status=201, headers={"cache-control": "no-store"})


def rotate_key(admin: Admin, request: Request, account: str) -> Response:
    """Give a key another secret; the answer is the only place where it is ever shown.

    The trail is told first: what it does not take is not done.

    Raises:
        ApiError: The body is malformed, there is no such key, it is in a grace period, or a store does not answer.
    """
    body = read_json_body(request, _MAX_BYTES, _BODY_SECONDS)
    asked = decode_json(body, RotateRequest, depth=_DEPTH)
    if not is_key_id(asked.id):
        raise NotFound("There is no API key with this id.", code="key_not_found")
    _record(admin, "keys.rotate", asked.id, account)
    made = admin.rotation.replace(asked.id, timedelta(seconds=asked.grace_seconds))
    return json_response(_shown_new(made), headers={"cache-control": "no-store"})


def _record(admin: Admin, name: str, key_id: str, account: str) -> None:
    try:
        admin.trail.record_operation(Operation(name, f"key:{key_id}", Operator(account[:128], "id_token")))
    except StoreError as error:
        raise ServiceUnavailable(
            "The audit trail cannot take the event of this key, so it is not given out.", code="audit_unavailable"
        ) from error


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


def _shown_new(made: NewKey) -> dict[str, object]:
    return {**_shown(made.record), "key": made.key}


def _shown(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "scopes": sorted(record.scopes),
        "created_at": record.created_at,
        "not_after": record.not_after,
        "older_until": record.older_until,
        "by_rotation": record.by_rotation,
    }
