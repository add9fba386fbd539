"""A gRPC server in front of Firestore's emulator that aborts commits, as Firestore does where many write at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

_COMMIT = "/google.firestore.v1.Firestore/Commit"
_PASSED_ON = ("authorization", "google-cloud-resource-prefix", "x-goog-request-params")
_SECONDS = 30.0


class FirestoreFront(grpc.GenericRpcHandler):
    """Passes every call on as it is, but for commits that are to be aborted."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.address = ""
        self.aborts = 0
        """So many commits are aborted from now on."""

        self.aborted = 0
        """So many have been."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
            if method == _COMMIT and self.aborts:
                self.aborts -= 1
                self.aborted += 1
                context.abort(grpc.StatusCode.ABORTED, "Too much contention on these documents.")
            with _refusals(context):
                return bytes(self._channel.unary_unary(method)(request, metadata=_metadata(context), timeout=_SECONDS))

        def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            with _refusals(context):
                yield from self._channel.unary_stream(method)(request, metadata=_metadata(context), timeout=_SECONDS)

        if method.endswith("/RunQuery"):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


def _metadata(context: grpc.ServicerContext) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in context.invocation_metadata() if name in _PASSED_ON]


@contextmanager
def _refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """Answer what the emulator refuses in its own words."""
    try:
        yield
    except grpc.RpcError as error:
        context.abort(error.code(), error.details())


@contextmanager
def firestore_front(emulator: str) -> Iterator[FirestoreFront]:
    """Run it on a free loopback port in front of an emulator."""
    with grpc.insecure_channel(emulator) as channel:
        handler = FirestoreFront(channel)
        server = grpc.server(ThreadPoolExecutor(8), handlers=[handler], options=[("grpc.so_reuseport", 0)])
        handler.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield handler
        finally:
            server.stop(None).wait()
