"""Cloud KMS's REST API v1, as far as signing and wrapping need it: JSON calls with an access token.

https://cloud.google.com/kms/docs/reference/rest

CRC32C sums go both ways, as Google advises: a bit that turns in transit must not become another's signature or key.
KMS leaves out what is false, and writes 64-bit numbers as strings.
"""

from __future__ import annotations

import base64
from typing import Any, Protocol

import msgspec
import urllib3
from google.auth.exceptions import GoogleAuthError

from shared.errors import SecretNotFound, StoreUnavailable
from shared.stores.access_token import AccessToken
from shared.stores.secrets import Secret

ENDPOINT = "https://cloudkms.googleapis.com"
ATTEMPTS = 3
"""A sum that is wrong three times in a row is no accident of transport."""

_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_TIMEOUT_SECONDS = 5.0


class Token(Protocol):
    """Gives an access token, with ``fresh`` a new one."""

    def __call__(self, *, fresh: bool = False) -> Secret: ...


class KmsRefused(Exception):
    """KMS calls the request itself wrong (status 400)."""


class KmsApi:
    """Calls about one resource. Safe under threads; connects at first use, so make it after the fork."""

    def __init__(self, resource: str, *, endpoint: str = ENDPOINT, token: Token | None = None) -> None:
        """
        Args:
            resource: Its name, ``projects/…``.
            endpoint: Where the API is.
            token: Gives access tokens; default: by application default credentials.
        """
        self._url = f"{endpoint}/v1/{resource}"
        self._token: Token = token or AccessToken(_SCOPE).get
        self._pool = urllib3.PoolManager()

    def get(self, what: str) -> dict[str, Any]:
        """GET ``…/resource/what``. Raises as ``post`` does."""
        return self._call("GET", f"{self._url}/{what}", None)

    def post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST ``…/resource:verb``.

        Raises:
            SecretNotFound: There is no such resource.
            KmsRefused: The request is wrong in itself.
            StoreUnavailable: Any other failure.
        """
        return self._call("POST", f"{self._url}:{verb}", body)

    def _call(self, method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
        status, data = self._send(method, url, body, renew=False)
        if status == 401:
            status, data = self._send(method, url, body, renew=True)
        if status == 404:
            raise SecretNotFound("Cloud KMS has no such key.")
        if status == 400:
            raise KmsRefused
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


def encoded(data: bytes) -> str:
    """Bytes as the API's JSON has them."""
    return base64.b64encode(data).decode()


def decoded(value: Any) -> bytes:
    """Bytes from the API's JSON; none where they are not in their form."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return b""
