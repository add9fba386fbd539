"""The authenticated caller of a request."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Scope = Literal["chat", "scan", "models", "asserts_user"]
SCOPES: tuple[Scope, ...] = ("chat", "scan", "models", "asserts_user")
DEFAULT_SCOPES: tuple[Scope, ...] = ("chat", "scan", "models")


class Caller(Struct, frozen=True):
    """Who is calling, as far as it has been verified.

    ``key_id`` names the credential that limits are counted on: an API key's id, or for an OIDC token
    a digest of issuer and subject. ``user`` is a verified end user (the token's ``sub``) or None.
    """

    tenant: str
    key_id: str
    kind: Literal["api_key", "oidc"]
    scopes: frozenset[str]
    user: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the caller's scopes include ``scope``."""
        return scope in self.scopes
