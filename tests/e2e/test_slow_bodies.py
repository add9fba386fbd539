"""Callers who send their body very slowly: told so in time, at nobody else's cost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.support.function_process import FunctionProcess
from tests.support.openai_server import ANSWER, OpenAIServer, says
from tests.support.raw_http import Answer, Header, connect, exchange, read_answer, request_bytes
from tests.support.refusals import assert_refused
from tests.support.stack import LocalStack

CHAT = "/v1/chat/completions"
SOUND = json.dumps({"model": "default", "messages": [{"role": "user", "content": "Hello"}]}).encode()
POLICY = """
limits: [{name: requests, amount: 1000, window_seconds: 3600}]
guards: {sizes: {body_seconds: 1}}
"""


class Target:
    """A running stack and the upstream behind it."""

    def __init__(self, stack: LocalStack, upstream: OpenAIServer) -> None:
        self.stack = stack
        self.upstream = upstream

    def head(self, *framing: Header, path: str = CHAT, token: str | None = None) -> bytes:
        """The head of a request whose body is to follow."""
        usual = [("Host", "guard"), ("Content-Type", "application/json")]
        credential = ("Authorization", f"Bearer {token or self.stack.key}")
        return request_bytes("POST", path, [*usual, credential, *framing])

    def remaining(self) -> int:
        """What is left of the limit after one more request, which is sent the usual way."""
        answer = exchange(self.stack.port, self.head(("Content-Length", str(len(SOUND)))) + SOUND)
        assert answer is not None
        assert answer.status == 200, answer.body
        return int(answer.headers["x-ratelimit-remaining-requests"])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "policy.yaml").write_text(POLICY)
    with (
        OpenAIServer(says(ANSWER)) as upstream,
        LocalStack(folder / "home", policy=folder / "policy.yaml", env={"UPSTREAM_URL": upstream.url}) as stack,
    ):
        yield Target(stack, upstream)


@contextmanager
def trickling(port: int, head: bytes, piece: bytes) -> Iterator[socket.socket]:
    """A connection over which a head is sent, and then a piece now and then until the block ends."""
    enough = threading.Event()

    def send() -> None:
        while not enough.wait(0.05):
            try:
                connection.sendall(piece)
            except OSError:
                return  # closed by the server, as it should be

    with connect(port) as connection:
        connection.sendall(head)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield connection
        finally:
            enough.set()
            sender.join()


def ended(connection: socket.socket) -> Answer:
    """The answer, and after it nothing more."""
    answer = read_answer(connection)
    assert answer is not None
    with suppress(ConnectionResetError):  # closed amid what the client was sending
        assert connection.recv(1) == b""
    return answer


LENGTH: Header = ("Content-Length", "100000")
CHUNKED: Header = ("Transfer-Encoding", "chunked")


@pytest.mark.parametrize(
    ("framing", "piece", "path"),
    [
        pytest.param(LENGTH, b" ", CHAT, id="a byte at a time"),
        pytest.param(LENGTH, b"", CHAT, id="nothing"),
        pytest.param(CHUNKED, b"1\r\n \r\n", CHAT, id="a chunk at a time"),
        pytest.param(CHUNKED, b"0", CHAT, id="a chunk's size without end"),
        pytest.param(LENGTH, b" ", "/v1/scan", id="to scan"),
    ],
)
def test_a_slow_body_is_refused_in_time(target: Target, framing: Header, piece: bytes, path: str) -> None:
    before, calls = target.remaining(), len(target.upstream.requests)
    head = target.head(framing, ("Idempotency-Key", "slow"), path=path)
    with trickling(target.stack.port, head, piece) as connection:
        answer = assert_refused(ended(connection), "request_timeout")
    assert answer.status == 408
    assert "within 1 s" in answer.json["error"]["message"]
    assert len(target.upstream.requests) == calls
    assert target.remaining() == before - 1


def test_strangers_are_not_waited_for_either(target: Target) -> None:
    """What is refused before its body is read is answered once the body has been given up."""
    refusals = {CHAT: "invalid_api_key", "/nowhere": "invalid_api_key", "/healthz": "method_not_allowed"}
    heads = [target.head(LENGTH, path=path, token="wg_stranger") for path in refusals]
    with ExitStack() as slow:
        callers = [slow.enter_context(trickling(target.stack.port, head, b" ")) for head in heads]
        for caller, code in zip(callers, refusals.values(), strict=True):
            assert_refused(ended(caller), code)


def test_slow_callers_do_not_keep_the_threads(target: Target) -> None:
    """Of a guard with two threads: each has a caller who goes on for as long as he is let, and as many wait behind."""
    environment = {**target.stack.environment, "THREADS": "2"}
    with FunctionProcess("guard", target.stack.home, environment) as guard, ExitStack() as slow:
        callers = [slow.enter_context(trickling(guard.port, target.head(LENGTH), b" ")) for _ in range(4)]
        health = exchange(guard.port, request_bytes("GET", "/healthz", [("Host", "guard")]))
        assert health is not None
        assert health.status == 200
        assert [ended(caller).status for caller in callers] == [408] * 4


def test_a_body_that_arrives_in_time_is_served(target: Target) -> None:
    with connect(target.stack.port) as connection:
        connection.sendall(target.head(("Content-Length", str(len(SOUND)))))
        for at in range(0, len(SOUND), 20):
            threading.Event().wait(0.01)
            connection.sendall(SOUND[at : at + 20])
        answer = read_answer(connection)
    assert answer is not None
    assert answer.status == 200, answer.body
