"""The HTTP client against a real server that keeps to the protocol, or does not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.web import http_client
from shared.web.http_client import (
    AnswerTooLarge,
    CallCancelled,
    Cancellation,
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    HttpClient,
    HttpError,
)
from tests.support.openai_server import OpenAIServer, answer, event, raw, silence, stream, trickle

LIMIT = 1_000_000


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def client(server):
    made = HttpClient(server.origin, connect_timeout=2)
    yield made
    made.close()


def call(client, *, seconds=5.0, limit=LIMIT, cancel=None, body=b"{}", path="/x", headers=None):
    deadline = time.monotonic() + seconds
    with client.send("POST", path, headers=headers or {}, body=body, deadline=deadline, cancel=cancel) as response:
        return response.status, response.read(limit)


def test_status_headers_and_body(server, client):
    server.script(answer({"a": 1}, 418, {"x-thing": "yes"}))
    response = client.send("POST", "/x?y=1", headers={"x-mine": "1"}, body=b"hello", deadline=time.monotonic() + 5)
    with response:
        assert (response.status, response.headers["x-thing"], response.read(LIMIT)) == (418, "yes", b'{"a": 1}')
    sent = server.requests[0]
    assert (sent.method, sent.path, sent.body) == ("POST", "/x?y=1", b"hello")
    assert sent.headers["x-mine"] == "1"
    assert sent.headers["host"] == server.origin.removeprefix("http://")
    assert sent.headers["accept-encoding"] == "identity"


def test_the_base_urls_path_goes_first(server):
    client = HttpClient(server.url + "/", connect_timeout=2)
    server.script(answer({}))
    call(client, path="/chat")
    assert server.requests[0].path == "/v1/chat"
    client.close()


def test_connections_are_kept(server, client):
    server.script(*[answer({})] * 3, stream(), *[answer({})] * 2)
    for _ in range(6):
        assert call(client)[0] == 200
    assert server.connections == 1


def test_a_redirect_is_an_answer_like_any_other(server, client):
    server.script(answer({}, 302, {"location": "http://127.0.0.1:1/"}))
    assert call(client)[0] == 302


def test_proxies_from_the_environment_are_not_used(server, client, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.script(answer({}))
    assert call(client)[0] == 200


def test_an_idle_connection_that_its_server_closed_is_replaced(server, client):
    server.script(answer({}), answer({}, headers={"connection": "close"}))
    call(client)
    call(client)
    server.script(answer({}))
    assert call(client)[0] == 200
    assert server.connections == 2


def test_a_connection_that_dies_while_the_request_is_on_its_way_is_replaced_once(server, client):
    server.script(answer({}), raw(b""), answer({"second": True}))
    call(client)
    assert call(client) == (200, b'{"second": true}')
    server.script(answer({}), raw(b""), raw(b""))
    call(client)
    with pytest.raises(ConnectionBroken):
        call(client)


def test_a_new_connection_that_dies_is_not_tried_again(server, client):
    server.script(raw(b""))
    with pytest.raises(ConnectionBroken):
        call(client)
    assert len(server.requests) == 1


def test_nothing_is_tried_again_once_an_answer_has_begun(server, client):
    server.script(answer({}), raw(b"HTTP/1.1 ?"))
    call(client)
    with pytest.raises(ConnectionBroken):
        call(client)
    assert len(server.requests) == 2


def test_old_idle_connections_are_not_used(server):
    client = HttpClient(server.origin, connect_timeout=2, idle_seconds=0.0)
    server.script(answer({}), answer({}))
    call(client)
    call(client)
    assert server.connections == 2
    client.close()


def test_no_more_idle_connections_than_allowed(server):
    client = HttpClient(server.origin, connect_timeout=2, max_idle=1)
    server.script(answer({}), answer({}), answer({}))
    first, second = (client.send("GET", "/", headers={}, deadline=time.monotonic() + 5) for _ in range(2))
    for response in (first, second):
        with response:
            response.read(LIMIT)
    call(client)
    assert server.connections == 2
    client.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"not http at all\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", id="cut at a length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", id="cut in a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", id="cut between chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n", id="no chunk size"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n", id="too long a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nxx", id="compressed"),
    ],
)
def test_what_is_not_an_answer_is_an_error(server, client, sent):
    server.script(raw(sent))
    with pytest.raises(ConnectionBroken):
        call(client)


def test_an_error_does_not_repeat_what_came(server, client):
    server.script(raw(b"SECRET SECRET SECRET\r\n\r\n"))
    with pytest.raises(ConnectionBroken) as caught:
        call(client)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "reply", [answer(b"x" * 1001), stream([b"x" * 500, b"x" * 500, b"x"], done=False)], ids=["length", "chunked"]
)
def test_an_answer_larger_than_allowed(server, client, reply):
    server.script(reply, answer({}))
    with pytest.raises(AnswerTooLarge):
        call(client, limit=1000)
    assert call(client)[0] == 200
    assert server.connections == 2


def test_an_answer_as_large_as_allowed(server, client):
    server.script(answer(b"x" * 1000))
    assert call(client, limit=1000)[1] == b"x" * 1000


def test_a_leftover_after_an_answer_is_never_taken_for_the_next_one(server, client):
    smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"
    server.script(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + smuggled), answer(b"good"))
    assert call(client)[1] == b"ok"
    assert call(client)[1] == b"good"
    assert server.connections == 2


def test_silence_ends_at_the_deadline(server, client):
    server.script(silence())
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        call(client, seconds=0.2)
    assert time.monotonic() - started < 20
    assert server.requests[0].hung_up.wait(20)


@pytest.mark.parametrize(
    "reply",
    [
        trickle(),
        trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 99),
        stream([b"x"] * 500, pace=0.02),
    ],
    ids=["head", "body", "chunks"],
)
def test_a_trickle_does_not_outlive_the_deadline(server, client, reply):
    server.script(reply)
    with pytest.raises(DeadlineExceeded):
        call(client, seconds=0.4)
    assert server.requests[0].hung_up.wait(20)


def test_a_deadline_that_has_passed(client):
    with pytest.raises(DeadlineExceeded):
        call(client, seconds=-1)


def test_the_deadline_covers_sending(client):
    listener = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(listener):
        stuck = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout=2)
        with pytest.raises(DeadlineExceeded):
            call(stuck, seconds=0.3, body=b"x" * 50_000_000)


def test_a_deadline_can_be_extended_for_the_rest_of_a_stream(server, client):
    server.script(stream([b"a", b"b"], pace=0.25, done=False))
    response = client.send("POST", "/", headers={}, deadline=time.monotonic() + 0.4)
    with response:
        response.extend(time.monotonic() + 5)
        assert b"".join(response.pieces(LIMIT)) == b"ab"


def test_refused_and_unknown_hosts():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed):
            call(HttpClient(f"http://127.0.0.1:{unused.getsockname()[1]}", connect_timeout=2))
    with pytest.raises(ConnectFailed):
        call(HttpClient("http://no-such-host.invalid", connect_timeout=2))


@contextlib.contextmanager
def full_listener():
    """An address whose connections are never made: its backlog is full."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def test_the_connect_timeout():
    with full_listener() as port:
        started = time.monotonic()
        with pytest.raises(ConnectFailed):
            call(HttpClient(f"http://127.0.0.1:{port}", connect_timeout=0.2), seconds=30)
        with pytest.raises(DeadlineExceeded):
            call(HttpClient(f"http://127.0.0.1:{port}", connect_timeout=30), seconds=0.2)
        assert time.monotonic() - started < 10


def cancel_soon(cancel, seconds=0.1):
    threading.Timer(seconds, cancel.cancel).start()


def test_another_thread_can_end_a_blocked_read(server, client):
    server.script(silence(), answer({}))
    cancel = Cancellation()
    cancel_soon(cancel)
    started = time.monotonic()
    with pytest.raises(CallCancelled):
        call(client, seconds=30, cancel=cancel)
    assert time.monotonic() - started < 20
    assert server.requests[0].hung_up.wait(20)
    assert call(client)[0] == 200


def test_another_thread_can_end_a_stream(server, client):
    server.script(stream([event({})] * 1000, pace=0.05))
    cancel = Cancellation()
    with client.send("POST", "/", headers={}, deadline=time.monotonic() + 30, cancel=cancel) as response:
        pieces = response.pieces(LIMIT)
        next(pieces)
        cancel_soon(cancel)
        with pytest.raises(CallCancelled):
            list(pieces)
    assert server.requests[0].hung_up.wait(20)


def test_a_cancelled_body_without_a_length_is_no_whole_body(server, client):
    def endless(exchange):
        exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\n")
        exchange.pause(30)
        return False

    server.script(endless)
    cancel = Cancellation()
    with client.send("POST", "/", headers={}, deadline=time.monotonic() + 30, cancel=cancel) as response:
        pieces = response.pieces(LIMIT)
        next(pieces)
        cancel_soon(cancel)
        with pytest.raises(CallCancelled):
            list(pieces)


def test_another_thread_can_end_a_connect():
    with full_listener() as port:
        cancel = Cancellation()
        cancel_soon(cancel)
        started = time.monotonic()
        with pytest.raises(CallCancelled):
            call(HttpClient(f"http://127.0.0.1:{port}", connect_timeout=30), seconds=30, cancel=cancel)
        assert time.monotonic() - started < 20


def test_a_cancelled_request_makes_no_more_calls(server, client):
    cancel = Cancellation()
    cancel.cancel()
    with pytest.raises(CallCancelled):
        call(client, cancel=cancel)
    with pytest.raises(CallCancelled):
        cancel.wait(30)


def test_a_cancellation_after_the_answer_does_not_touch_the_connection(server, client):
    server.script(answer({}), answer({}))
    cancel = Cancellation()
    call(client, cancel=cancel)
    cancel.cancel()
    assert call(client)[0] == 200
    assert server.connections == 1


def test_cancelling_at_any_moment_never_harms_another_call(server, client):
    """Calls race with their cancellation over shared connections: each is either whole or cancelled."""
    outcomes = []

    def calls(number):
        for attempt in range(25):
            cancel = Cancellation()
            timer = threading.Timer(0.0005 * ((attempt + number) % 6), cancel.cancel)
            timer.start()
            try:
                outcomes.append(call(client, cancel=cancel, body=b'{"messages": []}'))
            except CallCancelled:
                outcomes.append(None)
            except HttpError as error:  # would be another call's cancellation
                outcomes.append(error)
            timer.join()

    server.script(*[answer({"ok": True})] * 200)
    threads = [threading.Thread(target=calls, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 100
    assert set(map(str, outcomes)) <= {str((200, b'{"ok": true}')), "None"}


def test_release_keeps_the_connection_of_a_stream_that_has_said_all(server, client, monkeypatch):
    monkeypatch.setattr(http_client, "_RELEASE_GRACE", 5.0)  # how soon the end comes is the machine's business
    server.script(stream(), answer({}))
    with client.send("POST", "/", headers={}, deadline=time.monotonic() + 5) as response:
        for piece in response.pieces(LIMIT):
            if b"[DONE]" in piece:
                response.release()
                break
    call(client)
    assert server.connections == 1


def test_release_drops_the_connection_of_a_stream_that_goes_on(server, client):
    server.script(stream([b"data: 1\n\n", b"data: 2\n\n"], pace=0.1), answer({}))
    with client.send("POST", "/", headers={}, deadline=time.monotonic() + 5) as response:
        next(response.pieces(LIMIT))
        response.release()
    call(client)
    assert server.connections == 2


@pytest.mark.parametrize("headers", [{"a": "b\r\nc: d"}, {"a\n": "b"}, {"a": "b\nc"}, {"a": "\u20ac"}])
def test_headers_cannot_be_injected(client, server, headers):
    with pytest.raises(ValueError):
        call(client, headers=headers)
    assert server.requests == []


@pytest.mark.parametrize("url", ["ftp://host", "https://", "host:80", ""])
def test_a_base_url_that_is_none(url):
    with pytest.raises(ValueError):
        HttpClient(url, connect_timeout=1)


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Paths of a key and of a certificate for ``localhost`` that it signed itself."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


@contextlib.contextmanager
def tls_server(key, certificate, *answers):
    """Gives one answer over TLS to each connection, a record for each part, or fails in its handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve():
        for parts in answers or [[HEAD + b"ok"]]:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(65536)
                    for part in parts:
                        secured.sendall(part)
                    secured.recv(1)
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def test_tls_with_a_trusted_certificate(certificate):
    key, path = certificate
    trusting = ssl.create_default_context(cafile=path)
    with tls_server(key, path) as port:
        client = HttpClient(f"https://localhost:{port}", connect_timeout=5, tls=trusting)
        assert call(client) == (200, b"ok")
        client.close()


@pytest.mark.parametrize(
    "parts", [[HEAD + b"1." + HEAD + b"no"], [HEAD, b"1." + HEAD + b"no"]], ids=["one record", "two records"]
)
def test_a_leftover_within_tls_is_never_taken_for_the_next_answer(certificate, parts):
    key, path = certificate
    trusting = ssl.create_default_context(cafile=path)
    with tls_server(key, path, parts, [HEAD + b"2."]) as port:
        client = HttpClient(f"https://localhost:{port}", connect_timeout=5, tls=trusting)
        assert call(client) == (200, b"1.")
        assert call(client) == (200, b"2.")
        client.close()


def test_tls_certificates_are_verified(certificate):
    with tls_server(*certificate) as port, pytest.raises(ConnectFailed):
        call(HttpClient(f"https://localhost:{port}", connect_timeout=5))


def test_tls_host_names_are_verified(certificate):
    key, path = certificate
    trusting = ssl.create_default_context(cafile=path)
    with tls_server(key, path) as port, pytest.raises(ConnectFailed):
        call(HttpClient(f"https://127.0.0.1:{port}", connect_timeout=5, tls=trusting))


def test_a_tls_handshake_that_hangs_can_be_cancelled_and_times_out():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectFailed):
            call(HttpClient(url, connect_timeout=0.2))
        cancel = Cancellation()
        cancel_soon(cancel)
        with pytest.raises(CallCancelled):
            call(HttpClient(url, connect_timeout=30), seconds=30, cancel=cancel)


def test_a_call_that_waits_is_asked_whether_to_go_on(server, client):
    class Enough(Exception):
        pass

    asked = []

    def pulse():
        asked.append(time.monotonic())
        if len(asked) == 3:
            raise Enough

    server.script(silence())
    with pytest.raises(Enough):
        client.send("POST", "/x", headers={}, deadline=time.monotonic() + 20, pulse=pulse)
    assert server.requests[0].hung_up.wait(10), "the server still works for nobody"
    server.script(answer({}))
    assert call(client)[0] == 200


def test_being_asked_changes_nothing_else(server, client):
    asked = []

    def pulse():
        asked.append(True)

    server.script(stream(pace=0.6), silence())
    with client.send("POST", "/x", headers={}, deadline=time.monotonic() + 20, pulse=pulse) as response:
        whole = response.read(LIMIT)
    assert whole.endswith(b"[DONE]\n\n")
    assert len(asked) >= 4
    with pytest.raises(DeadlineExceeded):
        client.send("POST", "/x", headers={}, deadline=time.monotonic() + 0.8, pulse=pulse)
