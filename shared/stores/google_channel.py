"""The way to a Google API: one gRPC channel per process and address, made at first use, and its credentials.

gRPC's own retries are off: a lost answer leaves open whether a call took effect, and an increment that is
sent twice counts twice. Only the caller knows what may be repeated.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.errors import StoreUnavailable

FIRST_CALL_SECONDS = 2.0
"""Least deadline of a process's first call, which connects and may fetch a token; a shared CPU is slow at both."""

_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # After an outage the next call must find the API again at once, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Despite its name, the bound on one attempt to connect.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # A connection that swallows everything is given up after 5 s, not after TCP's quarter of an hour.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A Firestore document has at most 1 MiB, a page of them many; a pull of Pub/Sub's at most 10 MB.
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
)

_channels: dict[tuple[int, str], Any] = {}
_lock = threading.Lock()

Headers = tuple[tuple[str, str], ...]
Stubs = dict[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method of an API."""

    path: str
    """As gRPC names it: ``/package.Service/Method``."""

    request: Any
    """Class of the request's message; None where the caller has written its bytes."""

    response: Any
    """Class of the answer's."""

    streams: bool = False
    """Whether it answers with many messages."""


@dataclass(frozen=True, slots=True)
class Api:
    """A Google API, as far as it is called."""

    name: str
    host: str
    """With its port."""

    scope: str
    """What the credentials are asked for."""

    emulator_variable: str
    """Environment variable with the ``host:port`` of an emulator, the same as for Google's own libraries."""

    methods: Mapping[str, Method]

    def emulator(self) -> str:
        """Address of the emulator that takes the API's place, or an empty string."""
        return os.environ.get(self.emulator_variable, "")


class Calls:
    """An API's methods over the process's channel."""

    def __init__(self, api: Api, headers: Headers) -> None:
        """Connects at first use, so that nothing is carried over a fork.

        Args:
            api: What is called.
            headers: Sent with every call, such as where Google routes it to.
        """
        self._api = api
        self._headers = headers
        self._stubs: tuple[int, Stubs] = (0, {})
        self._answered = False

    def unary(self, method: str, request: Any, timeout: float) -> Any:
        """Call a method that answers with one message, and return it.

        Raises:
            grpc.RpcError: It failed, or did not answer within ``timeout`` seconds.
            StoreUnavailable: There are no credentials.
        """
        return self._call(method, request, timeout)

    def stream(self, method: str, request: Any, timeout: float) -> list[Any]:
        """Call a method that answers with many messages, and return them once all have come. Raises as ``unary``."""
        return list(self._call(method, request, timeout))

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

    def _connect(self) -> Stubs:
        emulator = self._api.emulator()
        process = os.getpid()
        address = emulator or self._api.host
        with _lock:
            channel = _channels.get((process, address))
            if channel is None:
                channel = _channels[process, address] = open_channel(grpc, self._api, emulator)
        stubs = make_stubs(channel, self._api, self._headers, emulator)
        self._answered = False
        self._stubs = (process, stubs)
        return stubs


def open_channel(library: Any, api: Api, emulator: str) -> Any:
    """A channel of ``grpc`` or ``grpc.aio`` to an emulator's address, or to Google where that is empty."""
    if emulator:
        return library.insecure_channel(emulator, options=_OPTIONS)
    return library.secure_channel(api.host, _credentials(api), options=_OPTIONS)


def _credentials(api: Api) -> Any:
    """Application default credentials, for each call anew."""
    import google.auth
    import google.auth.transport.grpc
    import google.auth.transport.requests
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials, _ = google.auth.default(scopes=[api.scope])
    except GoogleAuthError as error:
        raise StoreUnavailable(f"{api.name} cannot be asked without credentials: {type(error).__name__}.") from error
    request = google.auth.transport.requests.Request()
    plugin = google.auth.transport.grpc.AuthMetadataPlugin(  # type: ignore[no-untyped-call]  # half its types
        credentials, request
    )
    return grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin))


def make_stubs(channel: Any, api: Api, headers: Headers, emulator: str) -> Stubs:
    """Each method of the API by name; every call carries ``headers``, and the emulators' word for an administrator."""
    if emulator:
        headers = (*headers, ("authorization", "Bearer owner"))
    return {name: _with_headers(_stub(channel, method), headers) for name, method in api.methods.items()}


def _stub(channel: Any, method: Method) -> Any:
    make = channel.unary_stream if method.streams else channel.unary_unary
    return make(
        method.path,
        request_serializer=None if method.request is None else method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )


def _with_headers(stub: Any, headers: Headers) -> Callable[..., Any]:
    def call(request: Any, **options: Any) -> Any:
        return stub(request, metadata=headers, **options)

    return call
