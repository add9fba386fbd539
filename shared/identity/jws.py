"""JSON Web Signatures: public keys as JWK, and the signatures they verify (RFC 7515, 7517, 7518, 8037).

The cryptography is PyJWT's. What is decided here is which key may verify which algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWK
from jwt.exceptions import PyJWTError

_MAX_KEYS = 100
_RSA_BITS = range(2048, 8193)
"""Fewer are too weak (RFC 7518, section 3.3); more would make a check slow."""

_ALGORITHMS: Mapping[tuple[Any, Any], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By ``kty`` and ``crv``. Secret keys (``oct``) are not here, so nothing can be taken for an HMAC secret."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures with the algorithms of its own type, and with no others."""

    kid: str | None
    """Its id; None where the issuer gives it none."""

    _by_algorithm: Mapping[str, PyJWK] = field(repr=False)

    def is_for(self, algorithm: str) -> bool:
        """Whether the key verifies signatures of this algorithm."""
        return algorithm in self._by_algorithm

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``signed``, made with ``algorithm``."""
        bound = self._by_algorithm.get(algorithm)
        return bound is not None and bool(bound.Algorithm.verify(signed, bound.key, signature))


@dataclass(frozen=True, slots=True)
class KeySet:
    """An issuer's usable keys."""

    keys: tuple[PublicKey, ...]

    def find(self, kid: str) -> PublicKey | None:
        """The key with this id."""
        return next((key for key in self.keys if key.kid == kid), None)

    def only(self, algorithm: str) -> PublicKey | None:
        """The one key for an algorithm; None where there is none, or more than one to choose from."""
        fitting = [key for key in self.keys if key.is_for(algorithm)]
        return fitting[0] if len(fitting) == 1 else None


class _JwkSet(msgspec.Struct):
    keys: list[Any]


_decode_set = msgspec.json.Decoder(_JwkSet).decode


def read_key_set(document: bytes) -> KeySet:
    """The usable signature keys of a JWK set.

    Keys of other kinds or with broken parameters are left out, as RFC 7517 (section 5) asks.

    Raises:
        ValueError: The document is not a JWK set, or has more than 100 keys.
    """
    jwks = _decode_set(document).keys
    if len(jwks) > _MAX_KEYS:
        raise ValueError("too many keys")
    return KeySet(tuple(key for key in map(_read_key, jwks) if key is not None))


def _read_key(jwk: Any) -> PublicKey | None:
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str | None):
        return None
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ("verify",)):
        return None
    public = {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}
    kind = (public.get("kty"), None if public.get("kty") == "RSA" else public.get("crv"))
    try:
        algorithms = [name for name in _ALGORITHMS.get(kind, ()) if jwk.get("alg", name) == name]
        bound = {name: PyJWK(public, name) for name in algorithms}
    except (PyJWTError, ValueError, TypeError, AttributeError):  # whatever PyJWT makes of broken parameters
        return None
    strong = all(key.key.key_size in _RSA_BITS for key in bound.values() if isinstance(key.key, rsa.RSAPublicKey))
    return PublicKey(jwk.get("kid"), bound) if bound and strong else None
