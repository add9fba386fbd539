"""The secret store on Google Secret Manager, through its official client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceTransport
from google.cloud.secretmanager_v1.types import SecretVersion as Version

from shared.errors import PreconditionFailed, SecretNotFound, StoreUnavailable
from shared.stores.checksums import crc32c
from shared.stores.secret_checks import check_name, check_new_name, check_value
from shared.stores.secrets import Secret, SecretVersion, VersionState

T = TypeVar("T")

DEADLINE_SECONDS = 5.0
"""Bound on one call, retries included. The library's own is 60 s, longer than a caller of guard waits."""

_PAGE_SIZE = 250
_READ = Retry(
    predicate=if_exception_type(exceptions.ServiceUnavailable),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=DEADLINE_SECONDS,
)
_STATES: dict[str, VersionState] = {"ENABLED": "enabled", "DISABLED": "disabled", "DESTROYED": "destroyed"}


class SecretManagerSecrets:
    """``SecretStore`` on Secret Manager, global secrets of one project.

    ``create`` makes a secret with automatic replication. Where Terraform has made it, with the
    replication and key of the environment's choice, there is nothing left to create, and no function
    needs the right to.

    Values are checked on their way by CRC-32C, both ways. Where the secret has a delay before
    destruction, a destroyed version counts as disabled until the delay is over.

    Reads are retried within their deadline. Changes are sent once: an ``add`` whose answer was lost may
    have added a version.
    """

    def __init__(self, project: str, transport: SecretManagerServiceTransport | None = None) -> None:
        """Connects at first use, so that nothing is carried over a fork.

        Args:
            project: Id or number of the Google Cloud project.
            transport: Used in place of the one to Google, by application default credentials.
        """
        self._project = project
        self._transport = transport
        self._lock = threading.Lock()
        self._made: SecretManagerServiceClient | None = None

    def access(self, name: str, number: int) -> Secret:
        """See ``SecretStore``."""
        path = self._version(name, number)
        answer = self._call(
            lambda client: client.access_secret_version(name=path, retry=_READ, timeout=DEADLINE_SECONDS),
            f"version {number} of secret '{name}'",
        )
        if answer.payload.data_crc32c != crc32c(answer.payload.data):
            raise StoreUnavailable(
                f"Version {number} of secret '{name}' was damaged on its way: its checksum is wrong."
            )
        return Secret(answer.payload.data)

    def add(self, name: str, value: bytes) -> SecretVersion:
        """See ``SecretStore``; a value that is empty or over 64 KiB is a ValueError."""
        check_value(value)
        request = {"parent": self._secret(name), "payload": {"data": value, "data_crc32c": crc32c(value)}}
        added = self._call(
            lambda client: client.add_secret_version(request=request, retry=None, timeout=DEADLINE_SECONDS),
            f"secret '{name}'",
        )
        if not added.client_specified_payload_checksum:
            raise StoreUnavailable(f"A version of secret '{name}' was added without a look at its checksum.")
        return _told(name, added)

    def create(self, name: str) -> bool:
        """See ``SecretStore``; a malformed name is a ValueError."""
        check_new_name(name)
        request = {
            "parent": f"projects/{self._project}",
            "secret_id": name,
            "secret": {"replication": {"automatic": {}}},
        }

        def create(client: SecretManagerServiceClient) -> bool:
            try:
                client.create_secret(request=request, retry=None, timeout=DEADLINE_SECONDS)
            except exceptions.AlreadyExists:
                return False
            return True

        return self._call(create, f"secret '{name}'")

    def versions(self, name: str) -> list[SecretVersion]:
        """See ``SecretStore``."""
        request = {"parent": self._secret(name), "page_size": _PAGE_SIZE}
        found = self._call(
            lambda client: list(
                client.list_secret_versions(request=request, retry=_READ, timeout=DEADLINE_SECONDS),
            ),
            f"secret '{name}'",
        )
        return sorted((_told(name, version) for version in found), key=lambda version: version.number, reverse=True)

    def enable(self, name: str, number: int) -> None:
        """See ``SecretStore``."""
        path = self._version(name, number)
        self._call(
            lambda client: client.enable_secret_version(name=path, retry=None, timeout=DEADLINE_SECONDS),
            f"version {number} of secret '{name}'",
        )

    def disable(self, name: str, number: int) -> None:
        """See ``SecretStore``."""
        path = self._version(name, number)
        self._call(
            lambda client: client.disable_secret_version(name=path, retry=None, timeout=DEADLINE_SECONDS),
            f"version {number} of secret '{name}'",
        )

    def destroy(self, name: str, number: int, etag: str | None = None) -> None:
        """See ``SecretStore``. Asked for again during the delay before destruction, it leaves the delay as it is."""
        request = {"name": self._version(name, number), "etag": etag or ""}

        def destroy(client: SecretManagerServiceClient) -> None:
            found = client.get_secret_version(name=request["name"], retry=_READ, timeout=DEADLINE_SECONDS)
            if found.state is Version.State.DESTROYED or found.scheduled_destroy_time:
                return
            try:
                client.destroy_secret_version(request=request, retry=None, timeout=DEADLINE_SECONDS)
            except exceptions.FailedPrecondition:
                found = client.get_secret_version(name=request["name"], retry=_READ, timeout=DEADLINE_SECONDS)
                if found.state is not Version.State.DESTROYED:
                    raise

        self._call(destroy, f"version {number} of secret '{name}'")

    def label(self, name: str, labels: Mapping[str, int]) -> None:
        """See ``SecretStore``: sets aliases. Whoever changes the secret at the same time makes it fail, by its etag."""
        path = self._secret(name)

        def label(client: SecretManagerServiceClient) -> None:
            secret = client.get_secret(name=path, retry=_READ, timeout=DEADLINE_SECONDS)
            aliases = {**secret.version_aliases, **labels}
            if aliases == dict(secret.version_aliases):
                return
            client.update_secret(
                request={
                    "secret": {"name": path, "etag": secret.etag, "version_aliases": aliases},
                    "update_mask": {"paths": ["version_aliases"]},
                },
                retry=None,
                timeout=DEADLINE_SECONDS,
            )

        self._call(label, f"secret '{name}'")

    def labels(self, name: str) -> dict[str, int]:
        """See ``SecretStore``."""
        path = self._secret(name)
        found = self._call(
            lambda client: client.get_secret(name=path, retry=_READ, timeout=DEADLINE_SECONDS), f"secret '{name}'"
        )
        return dict(found.version_aliases)

    def _secret(self, name: str) -> str:
        check_name(name)
        return f"projects/{self._project}/secrets/{name}"

    def _version(self, name: str, number: int) -> str:
        if number < 1:
            raise SecretNotFound(f"There is no version {number} of secret '{name}'; they count from 1.")
        return f"{self._secret(name)}/versions/{number}"

    def _client(self) -> SecretManagerServiceClient:
        with self._lock:
            if self._made is None:
                self._made = SecretManagerServiceClient(transport=self._transport)
            return self._made

    def _call(self, call: Callable[[SecretManagerServiceClient], T], what: str) -> T:
        """Make one call; its errors are told by their kind, never by the service's own words."""
        try:
            return call(self._client())
        except exceptions.NotFound as error:
            raise SecretNotFound(f"There is no {what}.") from error
        except exceptions.FailedPrecondition as error:
            raise PreconditionFailed(
                f"The state of {what} does not allow that: it is disabled or destroyed, or was changed meanwhile."
            ) from error
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise StoreUnavailable(f"Secret Manager did not serve {what}: {_kind(error)}.") from error


def _told(name: str, version: Version) -> SecretVersion:
    return SecretVersion(
        name,
        number=int(version.name.rpartition("/")[2]),
        state=_STATES[Version.State(version.state).name],
        created_at=_nanoseconds(version.create_time),
        etag=version.etag,
        destroy_at=_nanoseconds(version.scheduled_destroy_time) if version.scheduled_destroy_time else None,
    )


def _nanoseconds(moment: Any) -> int:
    """proto-plus gives a datetime with nanoseconds, which its types do not say."""
    return int(moment.timestamp_pb().ToNanoseconds())


def _kind(error: Exception) -> str:
    code = getattr(error, "grpc_status_code", None)
    return str(code.name) if code is not None else type(error).__name__
