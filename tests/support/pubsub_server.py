"""A gRPC server in Pub/Sub's place that takes events, or refuses them, at a moment that a test chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from shared.stores.pubsub_api import PublishRequest, PublishResponse


@dataclass
class PubsubServer(grpc.GenericRpcHandler):
    """What a test turns while the server runs."""

    address: str = ""
    requests: list[Any] = field(default_factory=list)
    headers: list[dict[str, Any]] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    open: threading.Event = field(default_factory=threading.Event)
    """Cleared: answers wait until it is set."""

    refusal: Callable[[Any], grpc.StatusCode | None] = lambda request: None
    message_ids: Callable[[int], list[str]] = lambda count: [f"id-{number}" for number in range(count)]

    def sizes(self) -> list[int]:
        """How many events each request held."""
        return [len(request.messages) for request in self.requests]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
            request = PublishRequest.FromString(data)
            self.headers.append(dict(context.invocation_metadata()))
            self.peers.add(context.peer())
            self.requests.append(request)
            self.open.wait(30)
            code = self.refusal(request)
            if code is not None:
                context.abort(code, "do not show this: secret")
            return bytes(PublishResponse(message_ids=self.message_ids(len(request.messages))).SerializeToString())

        assert handler_call_details.method == "/google.pubsub.v1.Publisher/Publish"
        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def pubsub_server(
    address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> Iterator[PubsubServer]:
    """Run it on a loopback address, over TLS where it has credentials."""
    handler = PubsubServer()
    handler.open.set()
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 10_000_000)]
    server = grpc.server(ThreadPoolExecutor(8), handlers=[handler], options=options)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    handler.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield handler
    finally:
        handler.open.set()
        server.stop(None).wait()
