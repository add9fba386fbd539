"""JSON Web Signatures: public keys as JWK, and the signatures they verify (RFC 7515, 7517, 7518, 8037).

What is decided here is which keys of a set may verify which algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from shared.identity.signatures import Key, algorithms_of, is_signed, read_public_key

_MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures with the algorithms of its own type, and with no others."""

    kid: str | None
    """Its id; None where the issuer gives it none."""

    _key: Key = field(repr=False)
    _algorithms: frozenset[str]

    def is_for(self, algorithm: str) -> bool:
        """Whether the key verifies signatures of this algorithm."""
        return algorithm in self._algorithms

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``signed``, made with ``algorithm``."""
        return algorithm in self._algorithms and is_signed(self._key, algorithm, signed, signature)


class KeySet(Struct, frozen=True):
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
    key = read_public_key(jwk)
    if key is None:
        return None
    algorithms = frozenset(name for name in algorithms_of(key) if jwk.get("alg", name) == name)
    return PublicKey(jwk.get("kid"), key, algorithms) if algorithms else None
