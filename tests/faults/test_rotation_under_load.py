"""Keys that change while chats go on: the real stack, and an upstream that serves no call with a wrong key.

At least five rotations; ``make test-faults ROUNDS=20`` makes twenty.
"""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from shared.clock import SystemClock
from shared.rotation.machine import FOREVER, Order, Timing
from shared.rotation.rotator import Rotator
from shared.rotation.schedule import read_record
from shared.stores.file_secrets import FileSecrets
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.rotation import NAME, MemoryProvider, managed
from tests.support.stack import LocalStack

ROTATIONS = max(5, int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 0))
NOW = Order(before=FOREVER)
HTTP = urllib3.PoolManager(maxsize=16, retries=False)
ANSWER = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1,
    "model": "checked-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Upstream(ThreadingHTTPServer):
    """Answers chats whose key the provider knows."""

    daemon_threads = True

    def __init__(self, provider):
        super().__init__(("127.0.0.1", 0), Handler)
        self.provider = provider
        self.refused = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        served = self.server.provider.accepts(Secret(key.encode()))
        self.server.refused += not served
        body = json.dumps(ANSWER if served else {"error": {"message": "wrong key"}}).encode()
        self.send_response(200 if served else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def upstream():
    with Upstream(MemoryProvider()) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def policy_for(upstream, path):
    path.write_text(f"""
upstreams:
  real: {{kind: openai, base_url: "http://127.0.0.1:{upstream.server_port}/v1", secret: {NAME}}}
models:
  default: {{targets: [{{upstream: real, model: checked-1}}]}}
limits: [{{name: many, amount: 1000000, window_seconds: 60}}]
secrets: {{grace_seconds: 1, bake_seconds: 0}}
""")
    return path


def chat(stack):
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
    # A connection of its own: one that is kept may be closed by the server just when it is used again.
    headers = {"authorization": f"Bearer {stack.key}", "connection": "close"}
    return HTTP.request("POST", f"{stack.url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def test_no_call_fails_while_keys_rotate(upstream, tmp_path):
    """The upstream's key rotates with a grace period of a second, and Wardgate's own secrets too."""
    home = tmp_path / "home"
    failed, served, ended = [], [], threading.Event()

    def load(stack):
        while not ended.is_set():
            try:
                answer = chat(stack)
            except urllib3.exceptions.HTTPError as error:
                failed.append(repr(error))
            else:
                served.append(answer.status) if answer.status == 200 else failed.append(answer.data)

    with LocalStack(home, policy=policy_for(upstream, tmp_path / "policy.yaml")) as stack:
        store, documents = FileSecrets(home / "secrets"), SqliteDocuments(home / "documents.db", timeout_seconds=20)
        secret = managed(upstream.provider, Timing(period=10**6, grace=1, bake=0))
        rotator = Rotator(store, documents, SystemClock(), log=lambda *_, **__: None)
        assert rotator.tick(secret).result == "promoted"
        before = read_record(documents, NAME).generation
        clients = [threading.Thread(target=load, args=(stack,)) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            for _ in range(ROTATIONS):
                deadline = time.monotonic() + 60
                while rotator.tick(secret, NOW).result != "promoted":
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            own = stack.wardgate("rotate", "run", "--now", "--json")
            time.sleep(1.5)
            assert rotator.tick(secret).result == "not_due"
            stack.wardgate("rotate", "run")
        finally:
            ended.set()
            for client in clients:
                client.join()
        generation = read_record(documents, NAME).generation
        documents.close()
        logs = b"".join(file.read_bytes() for file in (home / "logs").iterdir())
    assert own.returncode == 0, own.stderr
    assert failed == []
    assert len(served) > ROTATIONS
    assert generation == before + ROTATIONS
    assert upstream.refused > 0, "the old key was never refused, so nothing was tried"
    assert len(upstream.provider.keys) == 1
    assert b"sk-" not in logs
