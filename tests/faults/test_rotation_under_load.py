"""Keys that change while chats go on: the real stack, and an upstream that serves no call with a wrong key.

The upstream's key comes from a webhook, whose requests are signed with a secret that rotates too. At least five
rotations; ``make test-faults ROUNDS=20`` makes twenty.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
import urllib3

from shared.rotation.schedule import read_record
from shared.stores.file_secrets import FileSecrets
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.providers import KeyWebhook
from tests.support.stack import LocalStack

ROTATIONS = max(5, int(os.environ.get("WARDGATE_FAULT_ROUNDS") or 0))
NAME, SIGNING = "upstream-key", "webhook-signing-secret"
HTTP = urllib3.PoolManager(maxsize=16, retries=False)
ANSWER = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1,
    "model": "checked-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Upstream(KeyWebhook):
    """Makes keys, and answers chats whose key it has made and not revoked."""

    def __init__(self, secrets):
        self.secrets = secrets
        self.refused = 0
        super().__init__([])

    def answer(self, request):
        if request.path == "/v1/chat/completions":
            served = self.accepts(request.headers.get("authorization", "").removeprefix("Bearer "))
            self.refused += not served
            return (200, ANSWER) if served else (401, {"error": {"message": "wrong key"}})
        self.signing_secrets = self.read_signing_secrets()
        return super().answer(request)

    def read_signing_secrets(self):
        """As a server would that may read the secret: every version that is enabled."""
        enabled = [version.number for version in self.secrets.versions(SIGNING) if version.state == "enabled"]
        return [self.secrets.access(SIGNING, number).reveal() for number in enabled]


@pytest.fixture
def upstream(tmp_path):
    with Upstream(FileSecrets(tmp_path / "home" / "secrets")) as server:
        yield server


def policy_for(upstream, path):
    path.write_text(f"""
upstreams:
  real: {{kind: openai, base_url: "{upstream.origin}/v1", secret: {NAME}}}
models:
  default: {{targets: [{{upstream: real, model: checked-1}}]}}
limits: [{{name: many, amount: 1000000, window_seconds: 60}}]
secrets:
  grace_seconds: 1
  bake_seconds: 0
  per_secret:
    {NAME}: {{driver: {{kind: webhook, url: "{upstream.origin}/keys", signing_secret: {SIGNING}}}}}
""")
    return path


def chat(stack):
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
    # A connection of its own: one that is kept may be closed by the server just when it is used again.
    headers = {"authorization": f"Bearer {stack.key}", "connection": "close"}
    return HTTP.request("POST", f"{stack.url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def rotate(stack, *, promoted=True):
    """One run of `wardgate rotate run`, until it has made a new key."""
    deadline = time.monotonic() + 60
    while True:
        ran = stack.wardgate("rotate", "run", "--now", "--secret", NAME, "--json")
        (row,) = json.loads(ran.stdout)
        if row["result"] == "promoted":
            return ran
        assert row["result"] in ("in_grace", "busy"), row
        assert time.monotonic() < deadline
        time.sleep(0.1)


def shown_by_processes(stack):
    """Arguments and environments of every process of the stack, and the listing that anybody gets."""
    listing = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True).stdout
    files = [Path(f"/proc/{pid}/{name}") for pid in stack.processes() for name in ("cmdline", "environ")]
    return listing + b"".join(file.read_bytes() for file in files)


def test_no_call_fails_while_keys_rotate(upstream, tmp_path):
    """The upstream's key rotates with a grace period of a second, Wardgate's own secrets too; then the key leaks."""
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
        documents = SqliteDocuments(home / "documents.db", timeout_seconds=20)
        before = read_record(documents, NAME).generation
        assert before == 1, "the stack's start has made the first key"
        clients = [threading.Thread(target=load, args=(stack,)) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            printed = [rotate(stack) for _ in range(ROTATIONS)]
            printed.append(stack.wardgate("rotate", "run", "--now", "--json"))
            time.sleep(1.5)
            failed_while_they_rotate = list(failed)
            leaked = upstream.values[-1]
            printed.append(stack.wardgate("rotate", "run", "--now", "--revoke-immediately", "--secret", NAME, "--json"))
            assert not upstream.accepts(leaked)
            time.sleep(1)
            failed_for_the_leak = len(failed)
            # As Cloud Scheduler does it, on the function that runs.
            ticked = HTTP.request("POST", f"http://127.0.0.1:{stack.port + 3}/", timeout=60)
            shown = shown_by_processes(stack)
        finally:
            ended.set()
            for client in clients:
                client.join()
        record = read_record(documents, NAME)
        status = stack.wardgate("rotate", "status", "--json")
        documents.close()
    print(f"{len(served)} calls served, {len(failed)} failed, {ROTATIONS} rotations, {upstream.refused} keys refused")
    assert failed_while_they_rotate == []
    # A reader that has asked just now asks again half a second later: where no grace is given, calls fail until then.
    assert all(b"upstream_auth_failed" in answer for answer in failed)
    assert len(failed) == failed_for_the_leak, "and then no more"
    assert len(served) > ROTATIONS
    assert printed[-1].returncode == 0, printed[-1].stderr
    assert ticked.status == 200
    assert record.generation >= before + ROTATIONS
    assert upstream.refused > 0, "the old key was never refused, so nothing was tried"
    assert list(upstream.keys) == [record.current.reference]
    assert not [row for row in json.loads(status.stdout) if row["failures"]]
    values = [value.encode() for value in upstream.values]
    values += [value.encode() for value in (stack.key,)] + upstream.read_signing_secrets()
    written = [file for file in home.rglob("*") if file.is_file() and "secrets" not in file.parts]
    places = {str(file): file.read_bytes() for file in written if file.name != "dev-key"}
    places |= {"processes": shown, "commands": b"".join((ran.stdout + ran.stderr).encode() for ran in printed)}
    assert len(places) > 10
    assert not [place for place, content in places.items() for value in values if value in content]
