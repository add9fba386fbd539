"""The Cloud Storage adapter against a server that misbehaves: what is tried again, what is told, and by when."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.stores import cloud_storage_http
from shared.stores.checksums import crc32c
from shared.stores.cloud_storage import CloudStorageObjects
from shared.stores.cloud_storage_http import md5
from tests.support.vertex_server import VertexServer

Reply = Callable[["Handler"], None]
OBJECT = "/storage/v1/b/bucket-1/o/a%2Fb.json"


@dataclass
class Server:
    """What a test scripts, and what was asked. The last reply is repeated."""

    url: str = ""
    script: deque[Reply] = field(default_factory=deque)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def will(self, *replies: Reply) -> None:
        self.script.extend(replies)

    def paths(self) -> list[str]:
        return [f"{method} {path.partition('?')[0]}" for method, path, _, _ in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scripted: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.scripted.requests.append((self.command, self.path, headers, body))
        script = self.scripted.script
        (script.popleft() if len(script) > 1 else script[0])(self)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def reply(status: int, body: bytes = b"secret words", length: int | None = None, **headers: str) -> Reply:
    def send(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)
        if length is not None:
            handler.close_connection = True

    return send


def cut(handler: Handler) -> None:
    """Take the request, and end the connection without a word."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def trickle(handler: Handler) -> None:
    """A byte now and then, for longer than anybody waits."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


def written_by(server: Server) -> Reply:
    """The metadata of the object that the first request made."""

    def send(handler: Handler) -> None:
        (writer,) = re.findall(rb'"wardgate-write":"(\w+)"', server.requests[0][3])
        reply(200, json.dumps({"metadata": {"wardgate-write": writer.decode()}}).encode())(handler)

    return send


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    scripted = Server()
    handler = type("Scripted", (Handler,), {"scripted": scripted})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        scripted.url = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", scripted.url.removeprefix("http://"))
        monkeypatch.setattr(cloud_storage_http, "_FIRST_PAUSE_SECONDS", 0.001)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        running.shutdown()
        thread.join()


@pytest.fixture
def store() -> CloudStorageObjects:
    return CloudStorageObjects("bucket-1", timeout_seconds=20)


def test_what_a_write_carries(server: Server, store: CloudStorageObjects) -> None:
    server.will(reply(200, b"{}"))
    assert store.create("a/b.json", b"--data\r\n--") is True
    ((method, path, headers, body),) = server.requests
    assert (method, path.partition("?")[0]) == ("POST", "/upload/storage/v1/b/bucket-1/o")
    assert {"uploadType=multipart", "ifGenerationMatch=0"} <= set(path.partition("?")[2].split("&"))
    assert "authorization" not in headers
    boundary = headers["content-type"].removeprefix("multipart/related; boundary=").encode()
    _, metadata, data, end = body.split(b"--" + boundary)
    told = json.loads(metadata.partition(b"\r\n\r\n")[2])
    assert (told["name"], told["md5Hash"]) == ("a/b.json", md5(b"--data\r\n--"))
    assert data.partition(b"\r\n\r\n")[2] == b"--data\r\n--\r\n"
    assert end == b"--\r\n"


@pytest.mark.parametrize("failure", [reply(503), reply(429), reply(408), cut], ids=["503", "429", "408", "cut"])
def test_a_write_that_failed_is_tried_again(server: Server, store: CloudStorageObjects, failure: Reply) -> None:
    server.will(failure, failure, reply(200, b"{}"))
    assert store.create("a/b.json", b"data") is True
    assert len(server.requests) == 3
    assert len({body for _, _, _, body in server.requests}) == 1


def test_an_object_that_is_there_is_told_without_another_look(server: Server, store: CloudStorageObjects) -> None:
    server.will(reply(412))
    assert store.create("a/b.json", b"data") is False
    assert len(server.requests) == 1


def test_a_write_whose_answer_was_lost_finds_its_own_object(server: Server, store: CloudStorageObjects) -> None:
    server.will(cut, reply(412), written_by(server))
    assert store.create("a/b.json", b"data") is True
    assert server.paths()[2] == f"GET {OBJECT}"


@pytest.mark.parametrize("metadata", [b"{}", b'{"metadata": {"wardgate-write": "another"}}'])
def test_a_write_whose_answer_was_lost_finds_anothers_object(
    server: Server, store: CloudStorageObjects, metadata: bytes
) -> None:
    server.will(reply(503), reply(412), reply(200, metadata))
    assert store.create("a/b.json", b"data") is False


@pytest.mark.parametrize("status", [400, 403, 404, 301])
def test_what_will_not_pass_is_asked_once(server: Server, store: CloudStorageObjects, status: int) -> None:
    server.will(reply(status))
    for call in (lambda: store.create("a/b.json", b"data"), lambda: list(store.list("a"))):
        with pytest.raises(StoreUnavailable, match=f"HTTP {status}") as caught:
            call()
        assert "secret" not in str(caught.value)
    assert len(server.requests) == 2


def test_what_does_not_pass_is_given_up(server: Server, store: CloudStorageObjects) -> None:
    server.will(reply(503))
    with pytest.raises(StoreUnavailable, match="HTTP 503"):
        store.read("a/b.json")
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "damaged",
    [
        reply(200, b"dat", length=4),
        reply(200, b"dxta", x_goog_hash=f"crc32c=AAAAAA==,md5={md5(b'data')}"),
        reply(200, b"dxta", x_goog_hash=f"crc32c={base64.b64encode(crc32c(b'data').to_bytes(4, 'big')).decode()}"),
    ],
    ids=["truncated", "md5", "crc32c"],
)
def test_a_damaged_object_is_read_again_and_never_returned(
    server: Server, store: CloudStorageObjects, damaged: Reply
) -> None:
    whole = base64.b64encode(crc32c(b"data").to_bytes(4, "big")).decode()
    server.will(damaged, reply(200, b"data", x_goog_hash=f"crc32c={whole}"))
    assert store.read("a/b.json") == b"data"
    server.script.clear()
    server.will(damaged)
    with pytest.raises(StoreUnavailable):
        store.read("a/b.json")


def test_an_object_too_large_for_memory_is_not_read(
    server: Server, store: CloudStorageObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_storage_http, "MAX_BYTES", 1000)
    server.will(reply(200, b"x" * 1001))
    with pytest.raises(StoreUnavailable, match="too large"):
        store.read("a/b.json")


@pytest.mark.parametrize("slow", [trickle, lambda handler: time.sleep(1.5)], ids=["trickle", "silence"])
def test_a_slow_server_ends_in_time(server: Server, slow: Reply) -> None:
    server.will(slow)
    store = CloudStorageObjects("bucket-1", timeout_seconds=0.4)
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.read("a/b.json")
    assert time.monotonic() - started >= 0.3
    assert 1 <= len(server.requests) <= 3


def test_nobody_listening_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{gone.getsockname()[1]}")
    with pytest.raises(StoreUnavailable, match="no whole answer"):
        CloudStorageObjects("bucket-1", timeout_seconds=1).create("a", b"")


def test_a_list_goes_over_all_pages(server: Server, store: CloudStorageObjects) -> None:
    first = {"items": [{"name": "a/1"}, {"name": "a/2"}], "nextPageToken": "t&1"}
    server.will(reply(200, json.dumps(first).encode()), reply(503), reply(200, b'{"items": [{"name": "a/3"}]}'))
    assert list(store.list("a/")) == ["a/1", "a/2", "a/3"]
    assert "pageToken=t%261" in server.requests[2][1]
    assert "prefix=a%2F" in server.requests[2][1]


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"items": 1}'])
def test_an_answer_of_another_form_is_no_list(server: Server, store: CloudStorageObjects, body: bytes) -> None:
    server.will(reply(200, body))
    with pytest.raises(StoreUnavailable, match="form"):
        list(store.list("a/"))


def test_connections_are_kept(server: Server, store: CloudStorageObjects) -> None:
    peers: set[int] = set()

    def send(handler: Handler) -> None:
        peers.add(handler.client_address[1])
        reply(404)(handler)

    server.will(send)
    for _ in range(5):
        assert store.read("a/b.json") is None
    assert len(peers) == 1


def test_a_token_is_sent_along_and_renewed_where_it_is_refused(
    server: Server, store: CloudStorageObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(cloud_storage_http, "HOST", server.url)
    with VertexServer() as tokens:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials(tmp_path)))
        server.will(reply(200, b"data"), reply(401), reply(200, b"data"))
        assert [store.read("a/b.json") for _ in range(2)] == [b"data", b"data"]
    sent = [headers["authorization"] for _, _, headers, _ in server.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_without_credentials_nothing_is_sent(
    server: Server, store: CloudStorageObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setattr(cloud_storage_http, "HOST", server.url)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(StoreUnavailable, match="no credentials"):
        store.read("a/b.json")
    assert server.requests == []
