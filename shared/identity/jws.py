"""JSON Web Signatures: base64url, public keys as JWK, and the signatures they verify (RFC 7515, 7517, 7518, 8037).

Written on ``cryptography`` alone. Importing PyJWT takes five times as long, since it loads the X.509
and SSH parsers, and every cold start would pay for that. The tests check this module against PyJWT.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from msgspec import Raw, Struct
from msgspec.json import Decoder

_MAX_KEYS = 100
_RSA_BITS = range(2048, 8193)
"""Fewer are too weak (RFC 7518, section 3.3); more would make a check slow."""

_Check: TypeAlias = Callable[[bytes, bytes], None]
"""Takes a signature and what it signs; raises ``InvalidSignature``."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures with the algorithms of its own type, and with no others.

    So no token can have, say, an RSA key taken for an HMAC secret.
    """

    kid: str
    _checks: Mapping[str, _Check] = field(repr=False)

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``signed``, made with ``algorithm``."""
        check = self._checks.get(algorithm)
        if check is None:
            return False
        try:
            check(signature, signed)
        except InvalidSignature:
            return False
        return True


class _Jwk(Struct):
    """The public members of a JWK. Private ones are never read."""

    kty: str
    kid: str
    use: str = "sig"
    key_ops: tuple[str, ...] = ("verify",)
    alg: str | None = None
    crv: str | None = None
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _JwkSet(Struct):
    keys: list[Raw]


_decode_set = Decoder(_JwkSet).decode
_decode_key = Decoder(_Jwk).decode


def read_key_set(document: bytes) -> dict[str, PublicKey]:
    """The usable signature keys of a JWK set, by ``kid``.

    Keys of other kinds, without a ``kid`` or with broken parameters are left out, as RFC 7517 (section 5) asks.

    Raises:
        ValueError: The document is not a JWK set, or has more than 100 keys.
    """
    raw_keys = _decode_set(document).keys
    if len(raw_keys) > _MAX_KEYS:
        raise ValueError("too many keys")
    return {key.kid: key for key in map(_read_key, raw_keys) if key is not None}


def _read_key(raw: Raw) -> PublicKey | None:
    try:
        jwk = _decode_key(raw)
        checks = _checks_of(jwk)
    except ValueError:
        return None
    if jwk.alg is not None:
        checks = {name: check for name, check in checks.items() if name == jwk.alg}
    usable = checks and jwk.use == "sig" and "verify" in jwk.key_ops
    return PublicKey(jwk.kid, checks) if usable else None


def _checks_of(jwk: _Jwk) -> dict[str, _Check]:
    """What a key can verify, by the algorithm's JOSE name; nothing for a kind of key that is not known."""
    if jwk.kty == "RSA":
        rsa_key = rsa.RSAPublicNumbers(_integer(jwk.e), _integer(jwk.n)).public_key()
        if rsa_key.key_size not in _RSA_BITS:
            return {}
        return {name: partial(_check_rsa, rsa_key, scheme, digest) for name, (scheme, digest) in _RSA.items()}
    if jwk.kty == "EC" and jwk.crv in _CURVES:
        curve, name, digest = _CURVES[jwk.crv]
        ec_key = ec.EllipticCurvePublicNumbers(_integer(jwk.x), _integer(jwk.y), curve).public_key()
        return {name: partial(_check_ecdsa, ec_key, digest)}
    if jwk.kty == "OKP" and jwk.crv == "Ed25519":
        return {"EdDSA": ed25519.Ed25519PublicKey.from_public_bytes(base64url_decode(jwk.x)).verify}
    return {}


_RSA: dict[str, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]] = {
    "RS256": (padding.PKCS1v15(), hashes.SHA256()),
    "RS384": (padding.PKCS1v15(), hashes.SHA384()),
    "RS512": (padding.PKCS1v15(), hashes.SHA512()),
    "PS256": (padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256()),
}
_CURVES: dict[str | None, tuple[ec.EllipticCurve, str, hashes.HashAlgorithm]] = {
    "P-256": (ec.SECP256R1(), "ES256", hashes.SHA256()),
    "P-384": (ec.SECP384R1(), "ES384", hashes.SHA384()),
}


def _check_rsa(
    key: rsa.RSAPublicKey,
    scheme: padding.AsymmetricPadding,
    digest: hashes.HashAlgorithm,
    signature: bytes,
    signed: bytes,
) -> None:
    key.verify(signature, signed, scheme, digest)


def _check_ecdsa(key: ec.EllipticCurvePublicKey, digest: hashes.HashAlgorithm, signature: bytes, signed: bytes) -> None:
    """JOSE writes r and s side by side at full width (RFC 7518, section 3.4), the library wants DER."""
    size = (key.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise InvalidSignature
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))


def base64url_encode(data: bytes) -> str:
    """base64url without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_decode(text: str) -> bytes:
    """Undo ``base64url_encode``; every other spelling of the same bytes is refused.

    Raises:
        ValueError: ``text`` is not what ``base64url_encode`` makes.
    """
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url_encode(data) != text:
        raise ValueError("not canonical base64url")
    return data


def _integer(text: str) -> int:
    return int.from_bytes(base64url_decode(text), "big")
