"""The way to Firestore: one gRPC channel per process and address, made at first use, and its errors.

gRPC's own retries are off: a lost answer to a commit leaves open whether it took effect, and an increment
that is sent twice counts twice. Only the caller knows what may be repeated.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import quote

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.errors import PreconditionFailed, StoreContended, StoreUnavailable
from shared.stores.firestore_messages import (
    CommitRequest,
    CommitResponse,
    Document,
    GetDocumentRequest,
    RunQueryRequest,
    RunQueryResponse,
)

HOST = "firestore.googleapis.com:443"

FIRST_CALL_SECONDS = 2.0
"""Least deadline of a process's first call, which connects and may fetch a token; a shared CPU is slow at both."""

_SCOPE = "https://www.googleapis.com/auth/datastore"
_SERVICE = "/google.firestore.v1.Firestore/"
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # After an outage the next call must find Firestore again at once, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Despite its name, the bound on one attempt to connect.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # A connection that swallows everything is given up after 5 s, not after TCP's quarter of an hour.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A document has at most 1 MiB, a page of them many.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
)

_channels: dict[tuple[int, str], Any] = {}
_lock = threading.Lock()


class Calls:
    """Firestore's methods for one database, over the process's channel."""

    def __init__(self, database: str) -> None:
        """Connects at first use, so that nothing is carried over a fork.

        Args:
            database: Its full name, ``projects/{project}/databases/{database}``.
        """
        self._database = database
        self._stubs: tuple[int, dict[str, Callable[..., Any]]] = (0, {})
        self._answered = False

    def unary(self, method: str, request: Any, timeout: float) -> Any:
        """Call ``Commit`` or ``GetDocument`` and return the answer.

        Raises:
            grpc.RpcError: See ``refuse``.
        """
        return self._call(method, request, timeout)

    def stream(self, request: Any, timeout: float) -> list[Any]:
        """Call ``RunQuery`` and return its answers once all have come."""
        return list(self._call("RunQuery", request, timeout))

    def _call(self, method: str, request: Any, timeout: float) -> Any:
        process, stubs = self._stubs
        if process != os.getpid():
            stubs = self._connect()
        if self._answered:
            return stubs[method](request, timeout=timeout)
        # Fails fast only once a call has ended: until then the connection is being made.
        try:
            return stubs[method](request, timeout=max(timeout, FIRST_CALL_SECONDS), wait_for_ready=True)
        finally:
            self._answered = True

    def _connect(self) -> dict[str, Callable[..., Any]]:
        address = os.environ.get("FIRESTORE_EMULATOR_HOST", "")
        process = os.getpid()
        with _lock:
            channel = _channels.get((process, address))
            if channel is None:
                channel = _channels[process, address] = open_channel(grpc, address)
        stubs = make_stubs(channel, metadata(self._database, address))
        self._answered = False
        self._stubs = (process, stubs)
        return stubs


def open_channel(library: Any, emulator: str) -> Any:
    """A channel of ``grpc`` or ``grpc.aio`` to an emulator's address, or to Firestore where that is empty."""
    if emulator:
        return library.insecure_channel(emulator, options=_OPTIONS)
    return library.secure_channel(HOST, _credentials(), options=_OPTIONS)


def _credentials() -> Any:
    """Application default credentials, for each call anew."""
    import google.auth
    import google.auth.transport.grpc
    import google.auth.transport.requests
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except GoogleAuthError as error:
        raise StoreUnavailable(f"Firestore cannot be asked without credentials: {type(error).__name__}.") from error
    request = google.auth.transport.requests.Request()
    plugin = google.auth.transport.grpc.AuthMetadataPlugin(  # type: ignore[no-untyped-call]  # half its types
        credentials, request
    )
    return grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin))


def metadata(database: str, emulator: str) -> tuple[tuple[str, str], ...]:
    """What every call carries: where Firestore routes it to, and the emulator's word for an administrator."""
    headers = (
        ("google-cloud-resource-prefix", database),
        ("x-goog-request-params", f"database={quote(database, safe='')}"),
    )
    return (*headers, ("authorization", "Bearer owner")) if emulator else headers


def make_stubs(channel: Any, headers: tuple[tuple[str, str], ...]) -> dict[str, Callable[..., Any]]:
    """Each method of ``channel`` by name."""
    stubs = {
        "Commit": channel.unary_unary(
            f"{_SERVICE}Commit",
            request_serializer=CommitRequest.SerializeToString,
            response_deserializer=CommitResponse.FromString,
        ),
        "GetDocument": channel.unary_unary(
            f"{_SERVICE}GetDocument",
            request_serializer=GetDocumentRequest.SerializeToString,
            response_deserializer=Document.FromString,
        ),
        "RunQuery": channel.unary_stream(
            f"{_SERVICE}RunQuery",
            request_serializer=RunQueryRequest.SerializeToString,
            response_deserializer=RunQueryResponse.FromString,
        ),
    }
    return {name: _with_headers(stub, headers) for name, stub in stubs.items()}


def _with_headers(stub: Any, headers: tuple[tuple[str, str], ...]) -> Callable[..., Any]:
    def call(request: Any, **options: Any) -> Any:
        return stub(request, metadata=headers, **options)

    return call


def refuse(error: Any, what: str, *, conditional: bool = False) -> NoReturn:
    """Raise the store's error for a ``grpc.RpcError``; told by its kind, never by the service's own words.

    Args:
        error: What gRPC raised.
        what: What was asked, for the message.
        conditional: Whether the call carried a precondition. Without one, ``NOT_FOUND`` is the database's.

    Raises:
        StoreContended: ABORTED: nothing was changed.
        PreconditionFailed: A precondition does not hold.
        ValueError: The service takes the request for malformed or too large.
        StoreUnavailable: Anything else; whether it took effect is unknown.
    """
    code = error.code()
    status = grpc.StatusCode
    if code is status.ABORTED:
        raise StoreContended(f"Firestore is contended: {what} was aborted.") from error
    if conditional and code in (status.FAILED_PRECONDITION, status.ALREADY_EXISTS, status.NOT_FOUND):
        raise PreconditionFailed(f"A precondition of {what} does not hold: {code.name}.") from error
    if code is status.INVALID_ARGUMENT:
        raise ValueError(f"Firestore does not take {what}: a value, path or size is out of bounds.") from error
    raise StoreUnavailable(f"Firestore did not serve {what}: {code.name}.") from error
