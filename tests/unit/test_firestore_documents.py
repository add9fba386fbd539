"""The Firestore adapter against servers that misbehave: a call is sent once, ends in time, and says what it knows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from shared.errors import PreconditionFailed, StoreContended, StoreError, StoreUnavailable
from shared.stores.documents import Delete, Write
from shared.stores.firestore_documents import FirestoreDocuments
from shared.stores.firestore_messages import CommitRequest, CommitResponse
from tests.support.firestore_server import FirestoreServer, firestore_server

ROOT = Path(__file__).resolve().parents[2]
WRITE = Write("limits/key-1", increments={"n": 1})
CONDITIONAL = Write("limits/key-1", fields={"n": 1}, exists=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FirestoreServer]:
    with firestore_server() as running:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", running.address)
        yield running


@pytest.mark.parametrize(
    ("code", "write", "error"),
    [
        (grpc.StatusCode.ABORTED, WRITE, StoreContended),
        (grpc.StatusCode.ABORTED, CONDITIONAL, StoreContended),
        (grpc.StatusCode.UNAVAILABLE, WRITE, StoreUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, WRITE, StoreUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, WRITE, StoreUnavailable),
        (grpc.StatusCode.PERMISSION_DENIED, WRITE, StoreUnavailable),
        (grpc.StatusCode.INTERNAL, WRITE, StoreUnavailable),
        (grpc.StatusCode.NOT_FOUND, WRITE, StoreUnavailable),
        (grpc.StatusCode.FAILED_PRECONDITION, WRITE, StoreUnavailable),
        (grpc.StatusCode.FAILED_PRECONDITION, CONDITIONAL, PreconditionFailed),
        (grpc.StatusCode.ALREADY_EXISTS, CONDITIONAL, PreconditionFailed),
        (grpc.StatusCode.NOT_FOUND, Delete("a/a", updated_at=1), PreconditionFailed),
        (grpc.StatusCode.INVALID_ARGUMENT, WRITE, ValueError),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_each_status_has_its_error_and_is_asked_once(
    server: FirestoreServer, code: grpc.StatusCode, write: Write, error: type[Exception]
) -> None:
    server.refuse_with(code, "do not show this: secret")
    with pytest.raises(error) as caught:
        FirestoreDocuments("p").commit([write])
    assert type(caught.value) is error
    assert "secret" not in str(caught.value)
    assert len(server.calls) == 1


def test_reads_and_lists_have_their_errors(server: FirestoreServer) -> None:
    documents = FirestoreDocuments("p")
    server.refuse_with(grpc.StatusCode.NOT_FOUND)
    assert documents.get("a/a") is None
    server.refuse_with(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        documents.get("a/a")
    with pytest.raises(StoreUnavailable):
        list(documents.list("a"))


def test_what_a_call_carries(server: FirestoreServer) -> None:
    FirestoreDocuments("project-1", "eu").commit([WRITE])
    (call,) = server.calls
    assert call.method == "/google.firestore.v1.Firestore/Commit"
    assert call.headers["google-cloud-resource-prefix"] == "projects/project-1/databases/eu"
    assert call.headers["x-goog-request-params"] == "database=projects%2Fproject-1%2Fdatabases%2Feu"
    assert call.headers["authorization"] == "Bearer owner"
    request = CommitRequest.FromString(call.request)
    assert request.writes[0].update.name == "projects/project-1/databases/eu/documents/limits/key-1"


def test_the_first_call_has_time_to_connect_and_later_ones_their_deadline(server: FirestoreServer) -> None:
    documents = FirestoreDocuments("p", timeout_seconds=0.3)
    server.delay_seconds = 0.7
    documents.commit([WRITE])
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="DEADLINE_EXCEEDED"):
        documents.commit([WRITE])
    assert time.monotonic() - started >= 0.3
    assert len(server.calls) == 2


def test_nobody_listening_fails_and_the_server_is_found_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
    documents = FirestoreDocuments("p", timeout_seconds=0.2)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            documents.commit([WRITE])
    with firestore_server(address) as server:
        deadline = time.monotonic() + 20
        while not server.calls:
            assert time.monotonic() < deadline, "it was not found again"
            try:
                documents.commit([WRITE])
            except StoreUnavailable:
                time.sleep(0.05)


def test_a_black_hole_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{hole.getsockname()[1]}")
        documents = FirestoreDocuments("p", timeout_seconds=0.2)
        for _ in range(2):
            with pytest.raises(StoreError):
                documents.commit([WRITE])


def test_instances_and_threads_share_one_connection(server: FirestoreServer) -> None:
    stores = [FirestoreDocuments("p"), FirestoreDocuments("q")]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: stores[number % 2].commit([WRITE]), range(40)))
    assert len(server.calls) == 40
    assert len({call.peer for call in server.calls}) == 1


_FORK = """
import json, os, sys
from shared.stores.connect import connect_documents
from shared.stores.documents import Write
documents = connect_documents("firestore://project-1")
children = []
for number in range(2):
    child = os.fork()
    if child == 0:
        documents.commit([Write("a/a", fields={"n": number})])
        os._exit(0)
    children.append(child)
print(json.dumps([os.waitpid(child, 0)[1] for child in children]))
"""


def test_it_may_be_made_before_a_fork(server: FirestoreServer) -> None:
    ran = subprocess.run([sys.executable, "-c", _FORK], cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == [0, 0]
    assert len({call.peer for call in server.calls}) == 2


_IMPORTS = """
import json, sys
from shared.stores.firestore_documents import FirestoreDocuments
from shared.stores.documents import Write
FirestoreDocuments("p").commit([Write("a/a")])
print(json.dumps([name for name in ("google.auth", "google.api_core", "google.cloud.firestore", "proto", "requests")
                  if name in sys.modules]))
"""


def test_the_emulator_needs_no_google_library(server: FirestoreServer) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", _IMPORTS], env=environment, capture_output=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == []


def test_an_answer_with_fields_of_tomorrow_is_read() -> None:
    assert CommitResponse.FromString(b"\x12\x02\x08\x07" + b"\xfa\x01\x03new").commit_time.seconds == 7
