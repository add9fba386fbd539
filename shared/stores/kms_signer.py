"""The signer whose key is a version of a Cloud KMS key, over the REST API v1.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign

The key's algorithm must be ``EC_SIGN_ED25519``, which signs ``data`` itself and no digest of it. CRC32C sums
go both ways, as Google advises: a bit that turns in transit must not become a signature of something else.
"""

from __future__ import annotations

import base64
import threading
from typing import Any

import google.auth
import msgspec
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.urllib3 import AuthorizedHttp

from shared.errors import SecretNotFound, StoreUnavailable
from shared.stores.signers import Signature

ENDPOINT = "https://cloudkms.googleapis.com"
ALGORITHM = "EC_SIGN_ED25519"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 64 * 1024
_ATTEMPTS = 3
"""A sum that is wrong three times in a row is no accident of transport."""


class KmsSigner:
    """``Signer`` with one key version. Safe under threads."""

    def __init__(self, version: str, *, endpoint: str = ENDPOINT, credentials: Credentials | None = None) -> None:
        """Connects at first use.

        Args:
            version: ``projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…``.
            endpoint: Where the API is.
            credentials: Default: application default credentials.
        """
        self._url = f"{endpoint}/v1/{version}"
        self._version = version
        self._credentials = credentials
        self._lock = threading.Lock()
        self._http: AuthorizedHttp | None = None
        self._public_key: bytes | None = None

    def sign(self, message: bytes) -> Signature:
        """See ``Signer``."""
        public_key = self._own_public_key()
        body = {"data": base64.b64encode(message).decode(), "dataCrc32c": str(crc32c(message))}
        for _ in range(_ATTEMPTS):
            answer = self._call("POST", f"{self._url}:asymmetricSign", body)
            signature = _base64(answer.get("signature"))
            # KMS leaves out what is false, and writes 64-bit numbers as strings.
            if (
                answer.get("name") == self._version
                and answer.get("verifiedDataCrc32c") is True
                and str(answer.get("signatureCrc32c")) == str(crc32c(signature))
            ):
                return Signature(signature, public_key)
        raise StoreUnavailable("Cloud KMS's signatures arrive damaged.")

    def public_keys(self) -> list[bytes]:
        """See ``Signer``: that of this version alone."""
        return [self._own_public_key()]

    def _own_public_key(self) -> bytes:
        if self._public_key is None:
            answer = self._call("GET", f"{self._url}/publicKey", None)
            pem = str(answer.get("pem", "")).encode()
            if answer.get("algorithm") != ALGORITHM:
                raise StoreUnavailable(f"The Cloud KMS key is not of the algorithm {ALGORITHM}.")
            if str(answer.get("pemCrc32c")) != str(crc32c(pem)):
                raise StoreUnavailable("Cloud KMS's public key arrived damaged.")
            try:
                key = load_pem_public_key(pem)
            except ValueError as error:
                raise StoreUnavailable("Cloud KMS's public key cannot be read.") from error
            if not isinstance(key, Ed25519PublicKey):
                raise StoreUnavailable(f"The Cloud KMS key is not of the algorithm {ALGORITHM}.")
            self._public_key = key.public_bytes_raw()
        return self._public_key

    def _call(self, method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._session().urlopen(  # type: ignore[no-untyped-call]  # google-auth is half typed
                method,
                url,
                body=None if body is None else msgspec.json.encode(body),
                headers={"content-type": "application/json"},
                timeout=_TIMEOUT_SECONDS,
                retries=False,
                preload_content=False,
            )
            with answer:
                data = answer.read(_MAX_BYTES)
        except (GoogleAuthError, urllib3.exceptions.HTTPError) as error:
            raise StoreUnavailable(f"Cloud KMS cannot be asked: {type(error).__name__}.") from error
        if answer.status == 404:
            raise SecretNotFound("Cloud KMS has no such key version.")
        if answer.status != 200:
            raise StoreUnavailable(f"Cloud KMS answers with status {answer.status}.")
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise StoreUnavailable("Cloud KMS's answer is no JSON object.") from error

    def _session(self) -> AuthorizedHttp:
        with self._lock:
            if self._http is None:
                credentials = self._credentials
                if credentials is None:
                    credentials, _ = google.auth.default(scopes=[_SCOPE])
                self._http = AuthorizedHttp(credentials, urllib3.PoolManager())  # type: ignore[no-untyped-call]
            return self._http


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return b""


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3720, appendix B.4 (Castagnoli's polynomial), for data of some hundred bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
