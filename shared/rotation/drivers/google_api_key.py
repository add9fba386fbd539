"""The driver for Google API keys, by the API Keys API v2.

https://cloud.google.com/api-keys/docs/reference/rest/v2/projects.locations.keys: making and deleting are long-running
operations that are looked at until they are done. An attempt is the key's own id, so a key whose answer was lost is
found by it. A deleted key stays for 30 days, is listed no more, and no longer works.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from shared.policy.types import GoogleApiKeyDriver
from shared.rotation.drivers.port import DriverError, KeyNotAccepted, ListedKey, NewKey, ProviderRefused
from shared.rotation.drivers.port import ProviderUnavailable as Unavailable
from shared.rotation.drivers.provider_api import (
    MOST_PAGES,
    Answer,
    ProviderApi,
    deadline,
    header_text,
    new_key,
    split_url,
)
from shared.shapes import prepare
from shared.stores.secrets import Secret

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_PAGE_SIZE = 300
_POLL_SECONDS = 0.5
_SECOND = 1_000_000_000
_PASSING = frozenset({1, 4, 8, 10, 13, 14})
"""Codes of ``google.rpc.Code`` that may pass: CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL,
UNAVAILABLE."""

T = TypeVar("T")


class Token(Protocol):
    """Gives an access token."""

    def __call__(self, *, fresh: bool = False) -> Secret:
        """The token; with ``fresh`` a new one. Raises ``DriverError``."""


class _Fault(msgspec.Struct, frozen=True):
    code: int = 2


class _Operation(msgspec.Struct, frozen=True):
    name: str = ""
    done: bool = False
    error: _Fault | None = None


class _KeyString(msgspec.Struct, frozen=True, rename="camel"):
    key_string: str


class _Key(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    """``projects/NUMBER/locations/global/keys/ID``."""

    create_time: datetime | None = None
    delete_time: datetime | None = None

    def told(self) -> ListedKey:
        identifier = self.name.rpartition("/")[2]
        made_at = None if self.create_time is None else round(self.create_time.timestamp() * _SECOND)
        return ListedKey(identifier, identifier, made_at)


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    keys: tuple[_Key, ...] = ()
    next_page_token: str = ""


prepare(_Operation, _KeyString, _Page)


class GoogleApiKeys:
    """Makes API keys of one Google Cloud project, restricted to some services."""

    mints = True
    lists = True

    def __init__(self, config: GoogleApiKeyDriver, token: Token, *, poll_seconds: float = _POLL_SECONDS) -> None:
        """
        Args:
            config: Which project and services.
            token: Gives access tokens.
            poll_seconds: How long to wait between two looks at an operation.
        """
        self._api = ProviderApi(config.base_url, "The API Keys API")
        origin, self._test_path = split_url(config.test_url)
        self._tested = ProviderApi(origin, "The service that the key is for")
        self._keys = f"/v2/projects/{quote(config.project, safe='')}/locations/global/keys"
        self._restrictions = {"apiTargets": [{"service": service} for service in config.services]}
        self._token = token
        self._poll_seconds = poll_seconds

    def create(self, attempt_id: str) -> NewKey:
        """See ``Driver``."""
        until = deadline()
        body = {"displayName": attempt_id, "restrictions": self._restrictions}
        started = self._send("POST", f"{self._keys}?keyId={quote(attempt_id, safe='')}", until, body)
        self._finish(self._api.decoded(started, _Operation), until)
        answer = self._send("GET", f"{self._key(attempt_id)}/keyString", until)
        return NewKey(new_key(self._api.decoded(answer, _KeyString).key_string), attempt_id)

    def test(self, value: Secret) -> None:
        """See ``Driver``. Google answers 400 to a key that it does not know."""
        headers = {"x-goog-api-key": header_text(value)}
        answer = self._tested.send("GET", self._test_path, headers=headers, deadline=deadline())
        if answer.status in (400, 401, 403):
            raise KeyNotAccepted("The service that the key is for does not accept it.")
        if answer.status != 200:
            raise self._tested.failure(answer)

    def revoke(self, reference: str) -> None:
        """See ``Driver``."""
        until = deadline()
        answer = self._send("DELETE", self._key(reference), until)
        if answer.status == 404 or (answer.status == 400 and self._is_deleted(reference, until)):
            return
        self._finish(self._api.decoded(answer, _Operation), until)

    def list(self) -> list[ListedKey]:
        """See ``Driver``."""
        return [key.told() for key in self._all()]

    def _all(self) -> Iterator[_Key]:
        until, token = deadline(), ""
        for _ in range(MOST_PAGES):
            answer = self._send("GET", f"{self._keys}?pageSize={_PAGE_SIZE}{token}", until)
            page = self._api.decoded(answer, _Page)
            yield from page.keys
            if not page.next_page_token:
                return
            token = f"&pageToken={quote(page.next_page_token, safe='')}"
        raise self._api.endless()

    def _is_deleted(self, reference: str, until: float) -> bool:
        answer = self._send("GET", self._key(reference), until)
        return answer.status == 404 or self._api.decoded(answer, _Key).delete_time is not None

    def _finish(self, operation: _Operation, until: float) -> None:
        """Look at an operation until it is done."""
        while not operation.done:
            if not operation.name.startswith("operations/"):
                raise Unavailable("The API Keys API tells no name of its operation.")
            if time.monotonic() + self._poll_seconds >= until:
                raise Unavailable("The API Keys API has not done it in time.")
            time.sleep(self._poll_seconds)
            answer = self._send("GET", f"/v2/{quote(operation.name)}", until)
            operation = self._api.decoded(answer, _Operation)
        if operation.error is not None:
            raise _failed(operation.error.code)

    def _key(self, identifier: str) -> str:
        return f"{self._keys}/{quote(identifier, safe='')}"

    def _send(self, method: str, path: str, until: float, body: object = None) -> Answer:
        """One call. If the token is refused, nothing was done, and a new one is tried."""
        answer = self._with(self._token(), method, path, until, body)
        return self._with(self._token(fresh=True), method, path, until, body) if answer.status == 401 else answer

    def _with(self, token: Secret, method: str, path: str, until: float, body: object) -> Answer:
        headers = {"authorization": f"Bearer {token.reveal().decode()}"}
        return self._api.send(method, path, headers=headers, body=body, deadline=until)


def _failed(code: int) -> DriverError:
    problem = f"The operation of the API Keys API failed with code {code}."
    return Unavailable(problem) if code in _PASSING else ProviderRefused(problem)
