"""Guard's client before a model function that is not itself: proxies' pages, half answers, nonsense."""

from __future__ import annotations

import json
import time

import pytest

from shared.errors import BadRequest, ContentFiltered, NotFound, ServiceUnavailable
from shared.models.client import ModelCall, ModelClient
from tests.support.models import chat
from tests.support.openai_server import (
    OpenAIServer,
    answer,
    chunk_body,
    completion,
    completion_body,
    error,
    event,
    raw,
    silence,
    stream,
    text_events,
)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Identity:
    """Tokens that need no issuer."""

    def headers(self, audience):
        return {"Authorization": f"Bearer for {audience}", "X-Serverless-Authorization": "Bearer stripped"}


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def client(server):
    made = ModelClient(server.origin, Identity())
    yield made
    made.close()


def model_call(seconds=5.0, environ=None):
    return ModelCall("req_1", seconds, environ or {})


def take(client, *, streaming, seconds=5.0):
    if not streaming:
        return client.complete(chat(), model_call(seconds))
    with client.stream(chat(stream=True), model_call(seconds)) as chunks:
        return list(chunks)


def told(code, message="It failed.", param=None):
    return {"error": {"message": message, "type": "t", "param": param, "code": code}}


def test_what_is_sent(server, client):
    server.script(completion())
    client.complete(chat(temperature=0.0), model_call(7.0, {"HTTP_TRACEPARENT": TRACE}))
    [sent] = server.requests
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == f"Bearer for {server.origin}"
    assert sent.headers["x-serverless-authorization"] == "Bearer stripped"
    assert (sent.headers["x-request-id"], sent.headers["x-wardgate-deadline-ms"]) == ("req_1", "7000")
    assert sent.headers["traceparent"] == TRACE
    assert sent.json == {
        "model": "default",
        "messages": [{"role": "user", "content": "What is a penguin?"}],
        "temperature": 0.0,
    }


def test_a_malformed_trace_is_not_passed_on(server, client):
    server.script(completion())
    client.complete(chat(), model_call(5.0, {"HTTP_TRACEPARENT": "x\r\ny: z"}))
    assert "traceparent" not in server.requests[0].headers


def test_where_an_answer_comes_from(server, client):
    headers = {"x-wardgate-upstream": "vertex", "x-wardgate-upstream-model": "gemini-1"}
    server.script(answer(completion_body(), headers=headers))
    got = client.complete(chat(), model_call())
    assert (got.upstream, got.upstream_model) == ("vertex", "gemini-1")


@pytest.mark.parametrize(
    ("status", "body", "kind", "expected", "code"),
    [
        (400, told("upstream_rejected", param="messages"), BadRequest, 400, "upstream_rejected"),
        (400, told("content_filter"), ContentFiltered, 400, "content_filter"),
        (404, told("model_not_found", param="model"), NotFound, 404, "model_not_found"),
        (502, told("upstream_error"), ServiceUnavailable, 502, "upstream_error"),
        (503, told("upstream_rate_limited"), ServiceUnavailable, 503, "upstream_rate_limited"),
        (504, told("upstream_timeout"), ServiceUnavailable, 504, "upstream_timeout"),
        (401, told("wrong_audience"), ServiceUnavailable, 503, "model_unavailable"),
        (403, told("wrong_service_account"), ServiceUnavailable, 503, "model_unavailable"),
        (413, told("payload_too_large"), ServiceUnavailable, 502, "model_error"),
        (500, told("internal_error"), ServiceUnavailable, 502, "model_error"),
        (200, b"<html>", ServiceUnavailable, 502, "model_error"),
        (302, b"", ServiceUnavailable, 502, "model_error"),
        (403, b"<html>Forbidden</html>", ServiceUnavailable, 502, "model_error"),
        (429, b"Rate exceeded.", ServiceUnavailable, 503, "model_unavailable"),
        (
            500,
            b"The request failed because the instance failed to start.",
            ServiceUnavailable,
            503,
            "model_unavailable",
        ),
        (503, b"<html>", ServiceUnavailable, 503, "model_unavailable"),
        (503, {"error": "x"}, ServiceUnavailable, 503, "model_unavailable"),
        (503, b"x" * 1_000_000, ServiceUnavailable, 502, "model_error"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_errors(server, client, status, body, kind, expected, code, streaming, capfd):
    server.script(error(status, body, {"retry-after": "5", "x-other": "1", "set-cookie": "a=b"}))
    with pytest.raises(kind) as caught:
        take(client, streaming=streaming)
    raised = caught.value
    assert (type(raised), raised.status, raised.code) == (kind, expected, code)
    assert set(raised.headers) <= {"retry-after", "x-should-retry"}
    if kind is not ServiceUnavailable and isinstance(body, dict):
        assert raised.param == body["error"]["param"]


@pytest.mark.parametrize("streaming", [False, True])
def test_no_model_function(streaming):
    with OpenAIServer() as gone:
        client = ModelClient(gone.origin, Identity())
    with pytest.raises(ServiceUnavailable) as caught:
        take(client, streaming=streaming)
    assert (caught.value.status, caught.value.code) == (503, "model_unavailable")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_model_function_that_hangs(server, client, streaming):
    server.script(silence())
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable) as caught:
        take(client, streaming=streaming, seconds=0.1)
    assert (caught.value.status, caught.value.code) == (504, "upstream_timeout")
    assert time.monotonic() - started < 20


def test_a_stream_tells_whether_its_next_chunk_is_here(server, client):
    first, *others = text_events("one two three")
    server.script(stream([first, b"".join(others)]))
    with client.stream(chat(stream=True), model_call()) as chunks:
        assert [chunks.has_more for _ in chunks] == [False] + [True] * (len(others) - 1) + [False]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(stream(text_events(), done=False), id="no [DONE]"),
        pytest.param(stream(text_events(), done=False, end=False), id="cut"),
        pytest.param(stream([text_events()[0], event(b"{]")]), id="no JSON"),
        pytest.param(stream([event(chunk_body({"content": "x" * 2_000_000}))]), id="too large"),
        pytest.param(stream([event(told("something_new"))]), id="an error of an unknown code"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n\r\n"), id="nothing"),
    ],
)
def test_streams_that_break(server, client, reply):
    server.script(reply)
    with pytest.raises(ServiceUnavailable) as caught:
        take(client, streaming=True)
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("upstream_error", 502),
        ("upstream_timeout", 504),
        ("upstream_unavailable", 503),
        ("upstream_rate_limited", 503),
        ("content_filter", 400),
        ("upstream_rejected", 400),
        ("internal_error", 502),
    ],
)
def test_errors_inside_a_stream(server, client, code, status):
    server.script(stream([*text_events()[:2], event(told(code))]))
    with client.stream(chat(stream=True), model_call()) as chunks:
        events = iter(chunks)
        next(events)
        with pytest.raises((BadRequest, ServiceUnavailable)) as caught:
            list(events)
    assert (caught.value.status, caught.value.code) == (status, code)


def test_unknown_fields_are_dropped(server, client):
    body = completion_body(secret_text="x")
    server.script(answer(json.dumps(body).encode()))
    assert not hasattr(client.complete(chat(), model_call()).completion, "secret_text")


def test_a_stream_closed_twice(server, client):
    server.script(stream())
    answer_stream = client.stream(chat(stream=True), model_call())
    answer_stream.close()
    answer_stream.close()
