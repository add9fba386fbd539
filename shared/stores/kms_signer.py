"""The signer whose key is a version of a Cloud KMS key, over the REST API v1.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign

The key's algorithm must be ``EC_SIGN_ED25519``, which signs ``data`` itself and no digest of it. CRC32C sums
go both ways, as Google advises: a bit that turns in transit must not become a signature of something else.
"""

from __future__ import annotations

import base64
from typing import Any, Protocol

import msgspec
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.auth.exceptions import GoogleAuthError

from shared.errors import SecretNotFound, StoreUnavailable
from shared.stores.access_token import AccessToken
from shared.stores.checksums import crc32c
from shared.stores.secrets import Secret
from shared.stores.signers import Signature

ENDPOINT = "https://cloudkms.googleapis.com"
ALGORITHM = "EC_SIGN_ED25519"
_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_TIMEOUT_SECONDS = 5.0
_ATTEMPTS = 3
"""A sum that is wrong three times in a row is no accident of transport."""


class Token(Protocol):
    """Gives an access token, with ``fresh`` a new one."""

    def __call__(self, *, fresh: bool = False) -> Secret: ...


class KmsSigner:
    """``Signer`` with one key version. Safe under threads."""

    def __init__(self, version: str, *, endpoint: str = ENDPOINT, token: Token | None = None) -> None:
        """Connects at first use; make it after the fork.

        Args:
            version: ``projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…``.
            endpoint: Where the API is.
            token: Gives access tokens; default: by application default credentials.
        """
        self._url = f"{endpoint}/v1/{version}"
        self._version = version
        self._token: Token = token or AccessToken(_SCOPE).get
        self._pool = urllib3.PoolManager()
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
        status, data = self._send(method, url, body, renew=False)
        if status == 401:
            status, data = self._send(method, url, body, renew=True)
        if status == 404:
            raise SecretNotFound("Cloud KMS has no such key version.")
        if status != 200:
            raise StoreUnavailable(f"Cloud KMS answers with status {status}.")
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise StoreUnavailable("Cloud KMS's answer is no JSON object.") from error

    def _send(self, method: str, url: str, body: dict[str, Any] | None, *, renew: bool) -> tuple[int, bytes]:
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else msgspec.json.encode(body),
                headers={
                    "authorization": f"Bearer {self._token(fresh=renew).reveal().decode()}",
                    "content-type": "application/json",
                },
                timeout=_TIMEOUT_SECONDS,
                retries=False,
                redirect=False,
            )
        except (GoogleAuthError, urllib3.exceptions.HTTPError) as error:
            raise StoreUnavailable(f"Cloud KMS cannot be asked: {type(error).__name__}.") from error
        return answer.status, answer.data


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return b""
