"""Guard's client, the model function as a real process, and a real upstream behind it."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.client import HTTPConnection

import pytest

from shared.errors import BadRequest, ContentFiltered, NotFound, ServiceUnavailable
from shared.models.client import ModelCall, ModelClient
from shared.models.upstreams.builtin import MODEL as BUILTIN
from shared.web.http_client import CallCancelled
from tests.support.model_function import ModelFunction
from tests.support.models import chat
from tests.support.openai_server import (
    ANSWER,
    MODEL,
    OpenAIServer,
    completion,
    error,
    error_body,
    event,
    silence,
    stream,
    text_events,
)

KEY = "sk-upstream-test"


@pytest.fixture(scope="module")
def running_upstream():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def upstream(running_upstream):
    running_upstream.reset()
    return running_upstream


@pytest.fixture(scope="module")
def function(running_upstream, tmp_path_factory):
    policy = {
        "upstreams": {
            "builtin": {"kind": "builtin"},
            "real": {"kind": "openai", "base_url": running_upstream.url, "secret": "real-key"},
            "dead": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"},
        },
        "models": {
            "default": {"targets": [{"upstream": "builtin", "model": BUILTIN}]},
            "real": {"targets": [{"upstream": "real", "model": "real-1"}], "max_output_tokens": 77},
            "safe": {
                "targets": [{"upstream": "dead", "model": "d"}, {"upstream": "real", "model": "real-1"}],
            },
        },
        "calls": {"deadline_seconds": 20, "breaker_failures": 1000},
    }
    with ModelFunction(tmp_path_factory.mktemp("model"), policy, REAL_KEY=KEY) as running:
        yield running


@pytest.fixture
def client(function):
    made = ModelClient(function.url, function.tokens())
    yield made
    made.close()


def model_call(seconds=10.0, **environ):
    return ModelCall("req_e2e", seconds, environ)


def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_the_builtin_model_answers(client):
    answer = client.complete(chat("hello"), model_call())
    assert (answer.upstream, answer.upstream_model, answer.completion.model) == ("builtin", BUILTIN, "default")
    assert answer.completion.choices[0].message.content.endswith("hello")


def test_the_builtin_model_streams(client):
    with client.stream(chat("hello", stream=True, stream_options={"include_usage": True}), model_call()) as answer:
        assert (answer.upstream, answer.upstream_model) == ("builtin", BUILTIN)
        chunks = list(answer)
    assert text_of(chunks).endswith("hello")
    assert chunks[-1].usage.total_tokens > 0
    assert {chunk.model for chunk in chunks} == {"default"}


def test_a_real_upstream_answers_with_its_key_and_cap(client, upstream):
    answer = client.complete(chat(model="real", max_tokens=1000), model_call())
    assert (answer.upstream, answer.upstream_model, answer.completion.model) == ("real", MODEL, "real")
    assert answer.completion.choices[0].message.content == ANSWER
    [sent] = upstream.requests
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert (sent.json["model"], sent.json["max_tokens"]) == ("real-1", 77)


def test_a_real_upstream_streams_as_it_comes(client, upstream):
    upstream.script(stream(text_events("abcd"), pace=0.1))
    arrived = []
    with client.stream(chat(model="real", stream=True), model_call()) as answer:
        assert (answer.upstream, answer.upstream_model) == ("real", MODEL)
        for chunk in answer:
            arrived.append((time.monotonic(), text_of([chunk])))
    assert "".join(text for _, text in arrived) == "abcd"
    assert arrived[-1][0] - arrived[0][0] > 0.25


def test_a_fallback_answers(client, upstream):
    assert client.complete(chat(model="safe"), model_call()).upstream == "real"
    with client.stream(chat(model="safe", stream=True), model_call()) as answer:
        assert answer.upstream == "real"
        list(answer)


@pytest.mark.parametrize(
    ("reply", "kind", "status", "code"),
    [
        (error(400), BadRequest, 400, "upstream_rejected"),
        (error(400, error_body(code="content_filter")), ContentFiltered, 400, "content_filter"),
        (error(400, error_body(code="context_length_exceeded")), BadRequest, 400, "context_length_exceeded"),
        (error(401), ServiceUnavailable, 502, "upstream_auth_failed"),
        (error(429, headers={"retry-after": "600"}), ServiceUnavailable, 503, "upstream_rate_limited"),
        (error(500), ServiceUnavailable, 502, "upstream_error"),
        (error(503), ServiceUnavailable, 503, "upstream_unavailable"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_errors_come_back_as_they_were_raised(client, upstream, reply, kind, status, code, streaming):
    upstream.script(reply, reply)
    call = client.stream if streaming else client.complete
    with pytest.raises(kind) as caught:
        call(chat(model="real", stream=streaming), model_call())
    raised = caught.value
    assert (type(raised), raised.status, raised.code) == (kind, status, code)
    assert "<the prompt>" not in raised.message
    if code == "upstream_rate_limited":
        assert raised.headers == {"retry-after": "600"}
    if code in ("content_filter", "upstream_auth_failed"):
        assert raised.headers["x-should-retry"] == "false"


def test_an_unknown_model(client):
    with pytest.raises(NotFound) as caught:
        client.complete(chat(model="gpt-4"), model_call())
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_stream_that_breaks(client, upstream):
    upstream.script(stream(text_events("abc"), done=False, end=False))
    with client.stream(chat(model="real", stream=True), model_call()) as answer:
        chunks = iter(answer)
        next(chunks)
        with pytest.raises(ServiceUnavailable) as caught:
            list(chunks)
    assert (caught.value.status, caught.value.code) == (502, "upstream_error")


def test_a_filter_in_mid_stream(client, upstream):
    events = [*text_events("a")[:2], event(error_body(code="content_filter"))]
    upstream.script(stream(events))
    with client.stream(chat(model="real", stream=True), model_call()) as answer, pytest.raises(ContentFiltered):
        list(answer)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_time_that_guard_gives_counts(client, upstream, streaming):
    upstream.script(silence())
    call = client.stream if streaming else client.complete
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable) as caught:
        call(chat(model="real", stream=streaming), model_call(0.3))
    assert (caught.value.status, caught.value.code) == (504, "upstream_timeout")
    assert time.monotonic() - started < 20
    assert upstream.requests[0].hung_up.wait(20)


def test_many_at_once(client):
    results = []

    def ask():
        for _ in range(5):
            results.append(client.complete(chat("x"), model_call()).upstream)
            with client.stream(chat("x", stream=True), model_call()) as answer:
                results.append(text_of(answer)[-1])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(results)) == ["builtin", "x"]
    assert len(results) == 80


# --- hang-ups -----------------------------------------------------------------------------------


@pytest.fixture
def guards_client():
    """Guard's own client: its end of the connection, and guard's, as gunicorn would give it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with theirs, ours:
        yield theirs, {"gunicorn.socket": ours}


def whole(client, call, *, streaming):
    """Take a whole answer of the real upstream."""
    if not streaming:
        return client.complete(chat(model="real"), call)
    with client.stream(chat(model="real", stream=True), call) as answer:
        return list(answer)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hangup_goes_all_the_way_to_the_upstream(client, upstream, guards_client, streaming):
    """Guard's client leaves; guard's call ends; the model function notices that and ends its own."""
    theirs, environ = guards_client
    upstream.script(stream(text_events("x" * 400), pace=0.05) if streaming else silence())
    threading.Timer(0.3, theirs.close).start()
    with pytest.raises(CallCancelled):
        whole(client, model_call(**environ), streaming=streaming)
    assert upstream.requests[0].hung_up.wait(20)


def test_a_hangup_before_the_first_chunk_ends_the_upstreams_call(client, upstream, guards_client):
    theirs, environ = guards_client
    upstream.script(silence())
    threading.Timer(0.2, theirs.close).start()
    with pytest.raises(CallCancelled):
        client.stream(chat(model="real", stream=True), model_call(**environ))
    assert upstream.requests[0].hung_up.wait(20)


def test_closing_a_stream_early_ends_the_upstreams_call(client, upstream):
    upstream.script(stream(text_events("x" * 400), pace=0.05))
    with client.stream(chat(model="real", stream=True), model_call()) as answer:
        next(iter(answer))
    assert upstream.requests[0].hung_up.wait(20)


def test_after_hangups_the_function_serves_on(client, upstream, function):
    before = len([line for line in function.log_lines() if line.get("code") == "client_gone"])
    for _ in range(8):
        upstream.script(stream(text_events("x" * 400), pace=0.05))
        with client.stream(chat(model="real", stream=True), model_call()) as answer:
            next(iter(answer))
    assert client.complete(chat("x"), model_call()).upstream == "builtin"
    deadline = time.monotonic() + 60
    while len([line for line in function.log_lines() if line.get("code") == "client_gone"]) < before + 8:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "Traceback" not in function.log()


# --- who may call -------------------------------------------------------------------------------


def ask(function, method, path, headers=None, body=None):
    connection = HTTPConnection("127.0.0.1", function.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_health_needs_no_identity_and_says_nothing(function):
    assert ask(function, "GET", "/healthz")[0::2] == (200, b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/"), ("GET", "/x"), ("POST", "/healthz")],
)
def test_everything_else_needs_guards_identity(function, method, path):
    status, _, body = ask(function, method, path, {"content-type": "application/json"}, b"{}")
    assert (status, json.loads(body)["error"]["code"]) == (401, "missing_credentials")
    stranger = function.tokens("stranger@wardgate.local").headers(function.url)
    status, _, body = ask(function, method, path, stranger, b"{}")
    assert (status, json.loads(body)["error"]["code"]) == (403, "wrong_service_account")
    elsewhere = function.tokens().headers("http://127.0.0.1:1")
    status, _, body = ask(function, method, path, elsewhere, b"{}")
    assert (status, json.loads(body)["error"]["code"]) == (401, "wrong_audience")


def test_the_header_that_cloud_run_checks_is_no_evidence(function):
    headers = function.tokens().headers(function.url)
    del headers["Authorization"]
    assert ask(function, "GET", "/v1/models", headers)[0] == 401


def test_the_models(function):
    status, _, body = ask(function, "GET", "/v1/models", function.tokens().headers(function.url))
    assert status == 200
    assert [model["id"] for model in json.loads(body)["data"]] == ["default", "real", "safe"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/chat/completions", None, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", None, 405, "method_not_allowed"),
        ("GET", "/v1/other", None, 404, "not_found"),
        ("POST", "/v1/chat/completions", b"{", 400, "invalid_request"),
        ("POST", "/v1/chat/completions", b'{"model": "default"}', 400, "invalid_request"),
        ("POST", "/v1/chat/completions", b"[" * 100_000, 400, "invalid_request"),
        ("POST", "/v1/chat/completions", b"\xff", 400, "invalid_request"),
        ("POST", "/v1/chat/completions", b"x" * 2_000_000, 413, "payload_too_large"),
    ],
)
def test_bad_requests(function, method, path, body, status, code):
    headers = {**function.tokens().headers(function.url), "content-type": "application/json"}
    got, _, answer = ask(function, method, path, headers, body)
    assert (got, json.loads(answer)["error"]["code"]) == (status, code)


def test_a_log_line_for_each_request_without_a_word_of_it(function, client, upstream):
    upstream.script(error(500, error_body("SECRET-IN-ERROR")), completion("SECRET-IN-ANSWER"))
    client.complete(chat("SECRET-IN-PROMPT", model="real"), ModelCall("req_logged", 10, {}))
    lines = [line for line in function.wait_for_log(1) if line["request_id"] == "req_logged"]
    assert [(line["status"], line["upstream"], line["upstream_model"]) for line in lines] == [(200, "real", MODEL)]
    failed = [line for line in function.wait_for_log(1, "upstream.failed") if line["request_id"] == "req_logged"]
    assert [(line["upstream"], line["code"]) for line in failed] == [("real", "upstream_error")]
    assert "SECRET" not in function.log()
    assert KEY not in function.log()


def test_answers_carry_the_request_id(function):
    headers = {**function.tokens().headers(function.url), "x-request-id": "req_mine"}
    assert ask(function, "GET", "/v1/models", headers)[1]["x-request-id"] == "req_mine"
    _, answered, _ = ask(function, "GET", "/v1/models")
    assert answered["x-request-id"].startswith("req_")


def test_in_development_a_server_can_take_the_builtin_models_place(running_upstream, tmp_path):
    running_upstream.reset()
    environment = {"UPSTREAM_URL": running_upstream.url, "UPSTREAM_API_KEY": "sk-dev", "UPSTREAM_MODEL": "small"}
    with ModelFunction(tmp_path, **environment) as function:
        client = ModelClient(function.url, function.tokens())
        answer = client.complete(chat(), model_call())
        client.close()
    assert (answer.upstream, answer.upstream_model) == ("upstream-url", MODEL)
    [sent] = running_upstream.requests
    assert (sent.json["model"], sent.headers["authorization"]) == ("small", "Bearer sk-dev")
