"""The drivers for OpenAI: keys of service accounts in a project, by its administration API.

https://platform.openai.com/docs/api-reference/project-service-accounts and …/project-api-keys. A key's value is told
once, when it is made. Lists are paged by ``after``, the id of the last entry that was seen. Attempts are the names of
what is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from shared.policy.types import OpenAIProjectDriver
from shared.rotation.drivers.port import KeyNotAccepted, ListedKey, NewKey, ProviderRefused
from shared.rotation.drivers.provider_api import MOST_PAGES, Answer, ProviderApi, deadline, header_text, new_key
from shared.shapes import prepare
from shared.stores.secrets import Secret

T = TypeVar("T")

_ACCOUNTS = "/service_accounts"
_KEYS = "/api_keys"
_PAGE_SIZE = 100
_SECOND = 1_000_000_000
_DAY_SECONDS = 86_400


class AdminKey(Protocol):
    """Gives the key for the administration API."""

    def __call__(self, *, fresh: bool = False) -> Secret:
        """The key; with ``fresh`` asked for anew, since it was refused. Raises ``StoreError``."""


class _NewApiKey(msgspec.Struct, frozen=True):
    id: str
    value: str


class _NewAccount(msgspec.Struct, frozen=True):
    id: str
    api_key: _NewApiKey


class _Account(msgspec.Struct, frozen=True):
    id: str


class _Owner(msgspec.Struct, frozen=True):
    service_account: _Account | None = None


class _Entry(msgspec.Struct, frozen=True):
    """A service account or a key in a list."""

    id: str
    name: str
    created_at: int
    """Seconds since the Unix epoch."""

    owner: _Owner = _Owner()

    def told(self) -> ListedKey:
        return ListedKey(self.id, self.name, self.created_at * _SECOND)


class _Page(msgspec.Struct, frozen=True):
    data: tuple[_Entry, ...]
    has_more: bool


prepare(_NewApiKey, _NewAccount, _Page)


class _Project:
    """The administration API of one project."""

    def __init__(self, config: OpenAIProjectDriver, admin_key: AdminKey) -> None:
        self._api = ProviderApi(config.base_url, "OpenAI")
        self._path = f"/organization/projects/{quote(config.project, safe='')}"
        self._admin_key = admin_key
        self._lifetime_days = config.lifetime_days

    def make(self, path: str, name: str, kind: type[T]) -> T:
        """Make an account or a key of this name."""
        body: dict[str, object] = {"name": name}
        if self._lifetime_days is not None:
            body["expires_in_seconds"] = self._lifetime_days * _DAY_SECONDS
        return self._api.decoded(self._send("POST", path, deadline(), body), kind, statuses=(200, 201))

    def delete(self, path: str) -> None:
        """Delete an account or a key; one that is gone is no error."""
        answer = self._send("DELETE", path, deadline())
        if answer.status not in (200, 404):
            raise self._api.failure(answer)

    def entries(self, path: str) -> Iterator[_Entry]:
        """All entries of a list, over its pages."""
        until, after = deadline(), ""
        for _ in range(MOST_PAGES):
            answer = self._send("GET", f"{path}?limit={_PAGE_SIZE}{after}", until)
            page = self._api.decoded(answer, _Page)
            yield from page.data
            if not page.has_more or not page.data:
                return
            after = f"&after={quote(page.data[-1].id, safe='')}"
        raise self._api.endless()

    def test(self, value: Secret) -> None:
        """List models by the key itself, which costs nothing."""
        answer = self._api.send("GET", "/models", headers=_bearer(header_text(value)), deadline=deadline())
        if answer.status in (401, 403):
            raise KeyNotAccepted("OpenAI does not accept the key.")
        if answer.status != 200:
            raise self._api.failure(answer)

    def _send(self, method: str, path: str, until: float, body: object = None) -> Answer:
        """One call. If the admin key is refused, nothing was done, and a fresh one is tried."""
        key = self._key()
        answer = self._api.send(method, self._path + path, headers=_bearer(key), body=body, deadline=until)
        if answer.status == 401 and (fresh := self._key(fresh=True)) != key:
            answer = self._api.send(method, self._path + path, headers=_bearer(fresh), body=body, deadline=until)
        return answer

    def _key(self, *, fresh: bool = False) -> str:
        try:
            return header_text(self._admin_key(fresh=fresh))
        except KeyNotAccepted:
            raise ProviderRefused("The secret with OpenAI's admin key holds no key.") from None


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


class OpenAIServiceAccounts:
    """Makes a service account for each key; with the account goes its key."""

    mints = True
    lists = True

    def __init__(self, config: OpenAIProjectDriver, admin_key: AdminKey) -> None:
        self._project = _Project(config, admin_key)

    def create(self, attempt_id: str) -> NewKey:
        """See ``Driver``."""
        made = self._project.make(_ACCOUNTS, attempt_id, _NewAccount)
        return NewKey(new_key(made.api_key.value), made.id)

    def test(self, value: Secret) -> None:
        """See ``Driver``."""
        self._project.test(value)

    def revoke(self, reference: str) -> None:
        """See ``Driver``."""
        self._project.delete(f"{_ACCOUNTS}/{quote(reference, safe='')}")

    def list(self) -> list[ListedKey]:
        """See ``Driver``."""
        return [entry.told() for entry in self._project.entries(_ACCOUNTS)]


class OpenAIAccountKeys:
    """Makes keys of one service account, which keeps its role, its limits and its name."""

    mints = True
    lists = True

    def __init__(self, config: OpenAIProjectDriver, account: str, admin_key: AdminKey) -> None:
        self._project = _Project(config, admin_key)
        self._account = account

    def create(self, attempt_id: str) -> NewKey:
        """See ``Driver``."""
        made = self._project.make(f"{_ACCOUNTS}/{quote(self._account, safe='')}{_KEYS}", attempt_id, _NewApiKey)
        return NewKey(new_key(made.value), made.id)

    def test(self, value: Secret) -> None:
        """See ``Driver``."""
        self._project.test(value)

    def revoke(self, reference: str) -> None:
        """See ``Driver``."""
        self._project.delete(f"{_KEYS}/{quote(reference, safe='')}")

    def list(self) -> list[ListedKey]:
        """See ``Driver``."""
        return [
            entry.told()
            for entry in self._project.entries(_KEYS)
            if entry.owner.service_account is not None and entry.owner.service_account.id == self._account
        ]
