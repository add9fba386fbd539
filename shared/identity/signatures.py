"""Public keys and the signatures that they verify, on the primitives of ``cryptography`` (RFC 7518, RFC 8037).

A JWT library would do the same with those primitives, but brings certificates, SSH keys and an HTTP client
into the start of every function: three times what is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from shared.identity.base64url import base64url_decode

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_RSA_BITS = range(2048, 8193)
"""Fewer are too weak (RFC 7518, section 3.3); more would make a check slow."""

_CURVES: Mapping[Any, tuple[ec.EllipticCurve, int]] = {"P-256": (ec.SECP256R1(), 32), "P-384": (ec.SECP384R1(), 48)}
"""Each curve, and the bytes of a coordinate on it."""


def read_public_key(jwk: Mapping[str, Any]) -> Key | None:
    """The key of a JWK; None where it is of a kind that verifies nothing here, or its parameters are broken.

    Secret keys (``oct``) are of no such kind, so nothing can be taken for an HMAC secret.
    """
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "RSA", _:
                rsa_key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
                return rsa_key if rsa_key.key_size in _RSA_BITS else None
            case "EC", curve if curve in _CURVES:
                return _point(jwk, *_CURVES[curve])
            case "OKP", "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(base64url_decode(jwk["x"]))
    except (KeyError, TypeError, ValueError):
        pass
    return None


def algorithms_of(key: Key) -> tuple[str, ...]:
    """The algorithms (JWA) that a key may be used with: those of its own type and curve."""
    return tuple(name for name, (fits, _) in _ALGORITHMS.items() if fits(key))


def is_signed(key: Key, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is this key's over ``signed``, made with ``algorithm``, one of the key's own."""
    fits, verify = _ALGORITHMS[algorithm]
    if not fits(key):
        return False
    try:
        verify(key, signed, signature)
    except (InvalidSignature, ValueError):
        return False
    return True


def _number(text: str) -> int:
    return int.from_bytes(base64url_decode(text), "big")


def _point(jwk: Mapping[str, Any], curve: ec.EllipticCurve, size: int) -> ec.EllipticCurvePublicKey:
    x, y = (base64url_decode(jwk[name]) for name in ("x", "y"))
    if not len(x) == len(y) == size:  # RFC 7518, section 6.2.1.2
        raise ValueError("a coordinate of another length than its curve's")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()


_Verify = Callable[[Any, bytes, bytes], None]
"""Raises ``InvalidSignature`` where it does not hold."""


def _rs(digest: hashes.HashAlgorithm) -> _Verify:
    return lambda key, signed, signature: key.verify(signature, signed, padding.PKCS1v15(), digest)


def _ps(digest: hashes.HashAlgorithm) -> _Verify:
    salted = padding.PSS(padding.MGF1(digest), digest.digest_size)  # RFC 7518, section 3.5
    return lambda key, signed, signature: key.verify(signature, signed, salted, digest)


def _es(digest: hashes.HashAlgorithm, size: int) -> _Verify:
    def verify(key: ec.EllipticCurvePublicKey, signed: bytes, signature: bytes) -> None:
        if len(signature) != 2 * size:  # RFC 7518, section 3.4: R and S in full length
            raise InvalidSignature
        r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))

    return verify


def _eddsa(key: ed25519.Ed25519PublicKey, signed: bytes, signature: bytes) -> None:
    key.verify(signature, signed)


def _on(curve: str) -> Callable[[Key], bool]:
    name = _CURVES[curve][0].name
    return lambda key: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == name


def _is_rsa(key: Key) -> bool:
    return isinstance(key, rsa.RSAPublicKey)


def _is_ed25519(key: Key) -> bool:
    return isinstance(key, ed25519.Ed25519PublicKey)


_ALGORITHMS: Mapping[str, tuple[Callable[[Key], bool], _Verify]] = {
    "RS256": (_is_rsa, _rs(hashes.SHA256())),
    "RS384": (_is_rsa, _rs(hashes.SHA384())),
    "RS512": (_is_rsa, _rs(hashes.SHA512())),
    "PS256": (_is_rsa, _ps(hashes.SHA256())),
    "ES256": (_on("P-256"), _es(hashes.SHA256(), 32)),
    "ES384": (_on("P-384"), _es(hashes.SHA384(), 48)),
    "EdDSA": (_is_ed25519, _eddsa),
}
"""By name: which keys it is for, and how a signature is checked."""
