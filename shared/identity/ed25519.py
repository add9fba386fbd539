"""Ed25519 public keys as JSON Web Keys (RFC 8037), named by their thumbprint (RFC 7638)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from shared.identity.base64url import base64url_decode, base64url_encode


def thumbprint(public_key: bytes) -> str:
    """The key's JWK thumbprint (RFC 7638 with RFC 8037's members)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": base64url_encode(public_key)}
    return base64url_encode(hashlib.sha256(msgspec.json.encode(members)).digest())


def jwks(public_keys: Iterable[bytes]) -> dict[str, Any]:
    """The JSON Web Key Set of Ed25519 public keys, given as their 32 raw bytes."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": base64url_encode(key),
                "kid": thumbprint(key),
                "use": "sig",
                "alg": "EdDSA",
            }
            for key in public_keys
        ]
    }


def read_jwks(document: bytes) -> list[bytes]:
    """The raw Ed25519 keys of a JSON Web Key Set; keys of other kinds are left out.

    Raises:
        ValueError: The document is no key set, or a key's bytes are not base64url.
    """
    keys = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    if not isinstance(keys, list):
        raise ValueError("not a JSON Web Key Set")  # noqa: TRY004  # a fault of the document, not of the caller
    found = [key["x"] for key in keys if isinstance(key, dict) and key.get("crv") == "Ed25519" and "x" in key]
    return [raw for raw in map(base64url_decode, found) if len(raw) == 32]
