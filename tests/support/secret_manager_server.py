"""A small Secret Manager: the v1 gRPC service in memory, for the official client to talk to.

Made from the message types and comments in ``google-cloud-secret-manager``, since none of the emulators
that were tried keeps etags and states as the service does. What it has: secrets, versions with their
states, etags, payload checksums, paging, ``latest``, aliases, delayed destruction, and versions that are seen
late, as the service is eventually consistent. What it lacks: regional secrets, rotation, topics and IAM.

``latest`` is the version that was made last, whatever its state. Reading it is one of the mistakes that
Wardgate must not make.
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud import secretmanager_v1 as api
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from shared.stores.checksums import crc32c

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
MAX_PAYLOAD = 64 * 1024

_SECRET_NAME = re.compile(r"projects/[^/]+/secrets/[A-Za-z0-9_-]{1,255}")
_ALIAS = re.compile(r"(?!latest$|NEW$)[A-Za-z][A-Za-z0-9_-]{0,62}")
_State = api.SecretVersion.State
_Code = grpc.StatusCode


class Refused(Exception):
    """Ends a call with a status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class StoredVersion:
    """A version and its payload, which is None once destroyed."""

    message: api.SecretVersion
    payload: bytes | None


@dataclass
class StoredSecret:
    """A secret and its versions; version n is at index n - 1."""

    message: api.Secret
    versions: list[StoredVersion] = field(default_factory=list)


class SecretManagerServer:
    """The service, on a port of the loopback interface.

    Attributes:
        before: Called with each method's name and request before it is served; may raise ``Refused`` or wait.
        after: Called with each method's name and answer; may change the answer, as a bad link would.
        calls: The names of the methods that were called, in order.
        seen_after: How long after it was added a version can be listed and read.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._secrets: dict[str, StoredSecret] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self.before: Callable[[str, Any], None] = lambda method, request: None
        self.after: Callable[[str, Any], None] = lambda method, answer: None
        self.calls: list[str] = []
        self.seen_after = timedelta()

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    @contextmanager
    def transport(self) -> Iterator[SecretManagerServiceGrpcTransport]:
        """A connection for the official client."""
        with grpc.insecure_channel(self.address) as channel:
            yield SecretManagerServiceGrpcTransport(channel=channel)

    # --- methods --------------------------------------------------------------------------------

    def create_secret(self, request: api.CreateSecretRequest) -> api.Secret:
        name = f"{request.parent}/secrets/{request.secret_id}"
        if not _SECRET_NAME.fullmatch(name):
            raise Refused(_Code.INVALID_ARGUMENT, "secret_id is malformed.")
        if "replication" not in request.secret:
            raise Refused(_Code.INVALID_ARGUMENT, "replication is required.")
        if name in self._secrets:
            raise Refused(_Code.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        secret = api.Secret(request.secret)
        secret.name, secret.etag, secret.create_time = name, _etag(), self._now()
        self._secrets[name] = StoredSecret(secret)
        return secret

    def get_secret(self, request: api.GetSecretRequest) -> api.Secret:
        return self._secret(request.name).message

    def update_secret(self, request: api.UpdateSecretRequest) -> api.Secret:
        secret = self._secret(request.secret.name).message
        _check_etag(secret.etag, request.secret.etag)
        changed = set(request.update_mask.paths)
        if not changed or not changed <= {"labels", "version_aliases", "version_destroy_ttl"}:
            raise Refused(_Code.INVALID_ARGUMENT, "update_mask is missing or names a field that cannot be changed.")
        count = len(self._secrets[secret.name].versions)
        if not all(
            _ALIAS.fullmatch(alias) and 1 <= number <= count for alias, number in request.secret.version_aliases.items()
        ):
            raise Refused(_Code.INVALID_ARGUMENT, "An alias is malformed or of a version that does not exist.")
        for name in changed:
            setattr(secret, name, getattr(request.secret, name))
        secret.etag = _etag()
        return secret

    def add_secret_version(self, request: api.AddSecretVersionRequest) -> api.SecretVersion:
        secret = self._secret(request.parent)
        payload = request.payload
        if not 1 <= len(payload.data) <= MAX_PAYLOAD:
            raise Refused(_Code.INVALID_ARGUMENT, "The payload is empty or larger than 64 KiB.")
        checked = "data_crc32c" in payload
        if checked and payload.data_crc32c != crc32c(payload.data):
            raise Refused(_Code.INVALID_ARGUMENT, "The payload's checksum does not match.")
        version = api.SecretVersion(
            name=f"{request.parent}/versions/{len(secret.versions) + 1}",
            create_time=self._now(),
            state=_State.ENABLED,
            etag=_etag(),
            client_specified_payload_checksum=checked,
        )
        secret.versions.append(StoredVersion(version, payload.data))
        return version

    def get_secret_version(self, request: api.GetSecretVersionRequest) -> api.SecretVersion:
        return self._version(request.name).message

    def list_secret_versions(self, request: api.ListSecretVersionsRequest) -> api.ListSecretVersionsResponse:
        stored = self._secret(request.parent).versions
        numbers = [number for number in range(len(stored), 0, -1) if self._is_seen(stored[number - 1])]
        page, token = _page(numbers, request)
        listed = [self._version(f"{request.parent}/versions/{number}").message for number in page]
        return api.ListSecretVersionsResponse(versions=listed, next_page_token=token, total_size=len(numbers))

    def access_secret_version(self, request: api.AccessSecretVersionRequest) -> api.AccessSecretVersionResponse:
        version = self._version(request.name)
        if version.message.state != _State.ENABLED or version.payload is None:
            state = _State(version.message.state).name
            raise Refused(_Code.FAILED_PRECONDITION, f"Secret Version [{version.message.name}] is in {state} state.")
        payload = api.SecretPayload(data=version.payload, data_crc32c=crc32c(version.payload))
        return api.AccessSecretVersionResponse(name=version.message.name, payload=payload)

    def enable_secret_version(self, request: api.EnableSecretVersionRequest) -> api.SecretVersion:
        version = self._to_change(request).message
        version.state, version.etag = _State.ENABLED, _etag()
        version.scheduled_destroy_time = None
        return version

    def disable_secret_version(self, request: api.DisableSecretVersionRequest) -> api.SecretVersion:
        version = self._to_change(request).message
        version.state, version.etag = _State.DISABLED, _etag()
        return version

    def destroy_secret_version(self, request: api.DestroySecretVersionRequest) -> api.SecretVersion:
        version = self._to_change(request)
        delay = self._secret(request.name.partition("/versions/")[0]).message.version_destroy_ttl
        if delay:
            version.message.state, version.message.etag = _State.DISABLED, _etag()
            version.message.scheduled_destroy_time = self._now() + delay
        else:
            self._destroy(version)
        return version.message

    # --- their common parts ---------------------------------------------------------------------

    def _secret(self, name: str) -> StoredSecret:
        if name not in self._secrets:
            raise Refused(_Code.NOT_FOUND, f"Secret [{name}] not found.")
        return self._secrets[name]

    def _version(self, name: str) -> StoredVersion:
        """The version of this name, destroyed first where its delay has passed."""
        secret_name, _, label = name.partition("/versions/")
        versions = self._secret(secret_name).versions
        number = len(versions) if label == "latest" else int(label) if label.isdecimal() else 0
        if not 1 <= number <= len(versions):
            raise Refused(_Code.NOT_FOUND, f"Secret Version [{name}] not found.")
        version = versions[number - 1]
        if not self._is_seen(version):
            raise Refused(_Code.NOT_FOUND, f"Secret Version [{name}] not found.")
        due = version.message.scheduled_destroy_time
        if due and due <= self._now():
            self._destroy(version)
        return version

    def _is_seen(self, version: StoredVersion) -> bool:
        return self._now() >= version.message.create_time + self.seen_after

    def _to_change(self, request: Any) -> StoredVersion:
        if not request.name.rpartition("/")[2].isdecimal():
            raise Refused(_Code.INVALID_ARGUMENT, "A version is changed by its number only.")
        version = self._version(request.name)
        _check_etag(version.message.etag, request.etag)
        if version.message.state == _State.DESTROYED:
            raise Refused(_Code.FAILED_PRECONDITION, f"Secret Version [{request.name}] is in DESTROYED state.")
        return version

    def _destroy(self, version: StoredVersion) -> None:
        version.payload = None
        version.message.state, version.message.etag = _State.DESTROYED, _etag()
        version.message.destroy_time, version.message.scheduled_destroy_time = self._now(), None

    # --- wire -----------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        """The service's methods by their names on the wire; the package holds messages, but no service to subclass."""
        return {
            "CreateSecret": self._handler(self.create_secret, api.CreateSecretRequest),
            "GetSecret": self._handler(self.get_secret, api.GetSecretRequest),
            "UpdateSecret": self._handler(self.update_secret, api.UpdateSecretRequest),
            "AddSecretVersion": self._handler(self.add_secret_version, api.AddSecretVersionRequest),
            "GetSecretVersion": self._handler(self.get_secret_version, api.GetSecretVersionRequest),
            "ListSecretVersions": self._handler(self.list_secret_versions, api.ListSecretVersionsRequest),
            "AccessSecretVersion": self._handler(self.access_secret_version, api.AccessSecretVersionRequest),
            "EnableSecretVersion": self._handler(self.enable_secret_version, api.EnableSecretVersionRequest),
            "DisableSecretVersion": self._handler(self.disable_secret_version, api.DisableSecretVersionRequest),
            "DestroySecretVersion": self._handler(self.destroy_secret_version, api.DestroySecretVersionRequest),
        }

    def _handler(self, method: Callable[[Any], Any], request_type: Any) -> grpc.RpcMethodHandler:
        def serve(request: Any, context: grpc.ServicerContext) -> bytes:
            self.calls.append(method.__name__)
            try:
                self.before(method.__name__, request)
                with self._lock:
                    answer = method(request)
                    answer = type(answer)(answer)
            except Refused as refusal:
                context.abort(refusal.code, str(refusal))
            self.after(method.__name__, answer)
            return type(answer).serialize(answer)

        return grpc.unary_unary_rpc_method_handler(serve, request_deserializer=request_type.deserialize)


@contextmanager
def secret_manager_server(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[SecretManagerServer]:
    """A running server."""
    server = SecretManagerServer(now)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _etag() -> str:
    return f'"{secrets.token_hex(7)}"'


def _check_etag(current: str, given: str) -> None:
    if given and given != current:
        raise Refused(_Code.FAILED_PRECONDITION, f"The etag {given} does not match the current etag {current}.")


def _page(rows: Sequence[Any], request: Any) -> tuple[Sequence[Any], str]:
    start = int(base64.b64decode(request.page_token)) if request.page_token else 0
    end = start + (request.page_size or 25_000)
    return rows[start:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else ""
