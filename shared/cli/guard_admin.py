"""Calls of guard's admin routes, as an operator: by an ID token that Google's IAM gives whom it lets have it."""

from __future__ import annotations

from typing import Any

import google.auth.exceptions
import msgspec
import urllib3

from shared.cli.deployment import Deployment
from shared.errors import ApiError, ServiceUnavailable
from shared.stores.access_token import AccessToken

_CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)

IAM_CREDENTIALS = "https://iamcredentials.googleapis.com"
"""https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken"""


class _Error(msgspec.Struct):
    message: str = ""
    code: str | int | None = None


class _Refusal(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


class _Token(msgspec.Struct):
    token: str


class _Key(msgspec.Struct):
    """As guard answers it; ``key`` is missing where rotation makes it."""

    id: str
    by_rotation: bool
    key: str | None = None


class GuardAdmin:
    """guard's admin routes of one deployment, by the operator's application default credentials."""

    def __init__(self, deployment: Deployment, iam_credentials: str) -> None:
        """Asks for nothing yet.

        Args:
            deployment: Whose guard.
            iam_credentials: Address of the IAM Credentials API.
        """
        self._deployment = deployment
        self._iam_credentials = iam_credentials
        self._access = AccessToken(_CLOUD_PLATFORM)
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)

    def create_key(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Make an API key.

        Args:
            asked: What the route takes.

        Returns:
            What it answers, with the key as ``key``.

        Raises:
            ApiError: Refused by IAM or by guard; the message says by whom.
            ServiceUnavailable: One of them does not answer.
        """
        return self._asked("/admin/keys", asked)

    def rotate_key(self, key_id: str, grace_seconds: int) -> dict[str, Any]:
        """Give an API key another secret; the one before stays good for so long. Returns and raises as above."""
        return self._asked("/admin/keys/rotate", {"id": key_id, "grace_seconds": grace_seconds})

    def _asked(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, data = self._post(f"{self._deployment.guard_url.rstrip('/')}{path}", self._id_token(), body)
        if status not in (200, 201):
            raise _refused("Guard", status, data)
        msgspec.json.decode(data, type=_Key)
        answer: dict[str, Any] = msgspec.json.decode(data)
        return answer

    def _id_token(self) -> str:
        account = self._deployment.operator_account
        try:
            access = self._access.get().reveal().decode()
        except google.auth.exceptions.GoogleAuthError as error:
            hint = "run `gcloud auth application-default login`"
            raise ApiError(f"There are no application default credentials ({type(error).__name__}); {hint}.") from error
        status, data = self._post(
            f"{self._iam_credentials}/v1/projects/-/serviceAccounts/{account}:generateIdToken",
            access,
            {"audience": self._deployment.admin_audience, "includeEmail": True},
        )
        if status == 403:
            raise ApiError(
                f"IAM does not let you act as {account}: you need roles/iam.serviceAccountOpenIdTokenCreator on it."
            )
        if status != 200:
            raise _refused("The IAM Credentials API", status, data)
        return msgspec.json.decode(data, type=_Token).token

    def _post(self, url: str, token: str, body: dict[str, Any]) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            # Not redirected: the token is for this address alone.
            answer = self._http.request("POST", url, body=msgspec.json.encode(body), headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            host = urllib3.util.parse_url(url).host
            raise ServiceUnavailable(f"{host} does not answer ({type(error).__name__}).") from error
        return answer.status, answer.data


def _refused(who: str, status: int, data: bytes) -> ApiError:
    try:
        told = msgspec.json.decode(data, type=_Refusal).error
    except msgspec.DecodeError:
        told = _Error()
    return ApiError(f"{who} refused with HTTP {status}: {told.message or 'it does not say why.'}")
