"""A gRPC server in Firestore's place that answers every commit, or refuses everything, and keeps what it was asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from shared.stores.firestore_messages import CommitRequest, CommitResponse, Value


@dataclass(frozen=True)
class Call:
    """One call as it came."""

    method: str
    headers: dict[str, Any]
    request: bytes
    peer: str


@dataclass
class FirestoreServer(grpc.GenericRpcHandler):
    """What a test turns while the server runs."""

    address: str = ""
    delay_seconds: float = 0.0
    calls: list[Call] = field(default_factory=list)
    _refusal: tuple[grpc.StatusCode, str] | None = None

    def refuse_with(self, code: grpc.StatusCode, details: str = "") -> None:
        """Refuse every call from now on."""
        self._refusal = (code, details)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.append(Call(method, dict(context.invocation_metadata()), request, context.peer()))
            time.sleep(self.delay_seconds)
            if self._refusal is not None:
                context.abort(*self._refusal)
            return _committed(request)

        if method.endswith("/RunQuery"):
            return grpc.unary_stream_rpc_method_handler(lambda request, context: iter([answer(request, context)]))
        return grpc.unary_unary_rpc_method_handler(answer)


def _committed(request: bytes) -> bytes:
    response = CommitResponse()
    response.commit_time.seconds = 1
    for write in CommitRequest.FromString(request).writes:
        result = response.write_results.add()
        result.update_time.seconds = 1
        for _ in write.update_transforms:
            result.transform_results.append(Value(integer_value=1).SerializeToString())
    return bytes(response.SerializeToString())


@contextmanager
def firestore_server(
    address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> Iterator[FirestoreServer]:
    """Run it on a loopback address, over TLS where it has credentials."""
    handler = FirestoreServer()
    server = grpc.server(ThreadPoolExecutor(8), handlers=[handler], options=[("grpc.so_reuseport", 0)])
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    handler.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield handler
    finally:
        server.stop(None).wait()
