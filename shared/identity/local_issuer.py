"""The local stack's issuer of ID tokens: a private key in a folder, signing the claims that Google signs.

``make run`` makes the folder; whoever can read the key in it is trusted to say which function it is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from shared.clock import Clock, seconds
from shared.errors import ConfigurationError, Fault
from shared.identity.base64url import base64url_decode, base64url_encode
from shared.identity.minting import MintedToken
from shared.shapes import prepare
from shared.stores.files import require_private_folder, write_once

LOCAL_ISSUER: Final = "https://issuer.wardgate.local"
LOCAL_ALGORITHM: Final = "ES256"

_SIGNATURE_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What Cloud Run puts in the place of the signature that it has checked."""

_LIFETIME_SECONDS = 3600
"""As Google's."""

_COORDINATE_BYTES = 32


class _PrivateJwk(msgspec.Struct):
    """A P-256 key as JWK. Kept so, not as PEM, whose parser takes a tenth of a second to import."""

    kid: str
    x: str
    y: str
    d: str
    kty: str = "EC"
    crv: str = "P-256"


prepare(_PrivateJwk)


def create_local_issuer(folder: Path) -> None:
    """Make the folder and its keys, unless they are there. Several processes may do so at once.

    Raises:
        ConfigurationError: The folder cannot be made, or other users can enter it.
        OSError: A file cannot be written.
    """
    require_private_folder(folder, "WARDGATE_IDENTITY")
    key = _private_jwk(ec.generate_private_key(ec.SECP256R1()))
    write_once(_key_file(folder), msgspec.json.encode(key), scratch=folder, durable=True)
    kept = _read_key(folder)
    public = {
        "kty": kept.kty,
        "crv": kept.crv,
        "kid": kept.kid,
        "x": kept.x,
        "y": kept.y,
        "alg": LOCAL_ALGORITHM,
        "use": "sig",
    }
    write_once(local_key_set(folder), msgspec.json.encode({"keys": [public]}), scratch=folder, durable=True)


def local_key_set(folder: Path) -> Path:
    """The file with the issuer's public keys, as a JWK set."""
    return folder / "jwks.json"


class LocalIssuer:
    """Signs tokens for one service account with the folder's key."""

    def __init__(self, folder: Path, service_account: str, clock: Clock) -> None:
        """
        Raises:
            ConfigurationError: The folder holds no key, or other users can enter it.
        """
        require_private_folder(folder, "WARDGATE_IDENTITY")
        jwk = _read_key(folder)
        self._key = ec.derive_private_key(int.from_bytes(base64url_decode(jwk.d), "big"), ec.SECP256R1())
        self._header = {"alg": LOCAL_ALGORITHM, "kid": jwk.kid, "typ": "JWT"}
        self._service_account = service_account
        self._clock = clock

    def mint(self, audience: str) -> MintedToken:
        """See ``TokenSource``."""
        now = int(seconds(self._clock))
        claims = {
            "iss": LOCAL_ISSUER,
            "aud": audience,
            "azp": _account_number(self._service_account),
            "sub": _account_number(self._service_account),
            "email": self._service_account,
            "email_verified": True,
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
        }
        signed = f"{_segment(self._header)}.{_segment(claims)}"
        der = self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        signature = b"".join(part.to_bytes(_COORDINATE_BYTES, "big") for part in decode_dss_signature(der))
        return MintedToken(
            token=f"{signed}.{base64url_encode(signature)}",
            serverless=f"{signed}.{_SIGNATURE_REMOVED}",
            expires_at=now + _LIFETIME_SECONDS,
        )


def _account_number(service_account: str) -> str:
    """A number that stands for the account, as Google's 21 digits do."""
    return str(10**20 + int.from_bytes(hashlib.sha256(service_account.encode()).digest()[:8], "big"))


def _segment(part: dict[str, object] | dict[str, str]) -> str:
    return base64url_encode(msgspec.json.encode(part))


def _key_file(folder: Path) -> Path:
    return folder / "key.json"


def _private_jwk(key: ec.EllipticCurvePrivateKey) -> _PrivateJwk:
    public = key.public_key().public_numbers()
    x, y, d = (
        base64url_encode(number.to_bytes(_COORDINATE_BYTES, "big"))
        for number in (public.x, public.y, key.private_numbers().private_value)
    )
    return _PrivateJwk(kid=hashlib.sha256(f"{x}.{y}".encode()).hexdigest()[:16], x=x, y=y, d=d)


def _read_key(folder: Path) -> _PrivateJwk:
    try:
        return msgspec.json.decode(_key_file(folder).read_bytes(), type=_PrivateJwk)
    except (OSError, msgspec.DecodeError) as error:
        problem = f"{_key_file(folder)} is not a readable key ({type(error).__name__}); 'make run' makes one."
        raise ConfigurationError([Fault("WARDGATE_IDENTITY", problem)]) from None
