"""Every adapter that speaks OpenAI's protocol, against a real server that follows it, bends it and breaks it."""

from __future__ import annotations

import json
import threading
import time

import msgspec
import pytest

from shared.errors import ApiError, BadRequest, ContentFiltered
from shared.models.upstreams.openai import OpenAIUpstream
from shared.models.upstreams.port import UpstreamFailure
from shared.models.upstreams.vertex import connect_vertex
from shared.policy.types import VertexUpstream
from shared.web.http_client import CallCancelled, Cancellation
from tests.support.models import chat, context
from tests.support.openai_server import (
    ANSWER,
    MODEL,
    OpenAIServer,
    answer,
    chunk_body,
    completion,
    completion_body,
    error,
    error_body,
    event,
    raw,
    silence,
    stream,
    text_events,
    tool_events,
    trickle,
)
from tests.support.vertex_server import LOCATION, PROJECT, VertexServer


@pytest.fixture(scope="module", params=["openai", "vertex"])
def running(request, tmp_path_factory):
    """A server and the adapter that speaks to it, with a token in hand."""
    with (
        OpenAIServer() if request.param == "openai" else VertexServer() as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        if isinstance(server, VertexServer):
            credentials = server.credentials(tmp_path_factory.mktemp("vertex"))
            patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
            config = VertexUpstream(project=PROJECT, location=LOCATION, base_url=server.origin)
            upstream = connect_vertex(config, connect_timeout=2)
        else:
            upstream = OpenAIUpstream(server.url, connect_timeout=2)
        upstream.complete(chat(), "m", context(30))
        yield server, upstream
        upstream.close()


@pytest.fixture
def server(running):
    running[0].reset()
    return running[0]


@pytest.fixture
def upstream(running):
    return running[1]


def sent(server):
    """The last request for a chat."""
    return [request for request in server.requests if request.path.endswith("/chat/completions")][-1]


def call(upstream, limits, *, streaming):
    if streaming:
        return list(upstream.stream(chat(stream=True), "m", limits))
    return upstream.complete(chat(), "m", limits)


def complete(upstream, **fields):
    return upstream.complete(chat(**fields), "the-model", context())


def streamed(upstream, **fields):
    return list(upstream.stream(chat(stream=True, **fields), "the-model", context()))


# --- whole answers ------------------------------------------------------------------------------


def test_a_whole_answer(server, upstream):
    server.script(completion())
    got = complete(upstream)
    assert (got.id, got.model, got.created, got.system_fingerprint) == (
        "chatcmpl-123",
        MODEL,
        1_700_000_000,
        "fp_44709d6fcb",
    )
    [choice] = got.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", ANSWER, "stop")
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (12, 7, 19)


def test_only_what_guards_can_see_goes_on(server, upstream):
    server.script(completion(reasoning="unscanned", choices_extra=[1]))
    encoded = msgspec.json.encode(complete(upstream)).decode()
    for hidden in ("unscanned", "annotations", "service_tier", "choices_extra"):
        assert hidden not in encoded


def test_the_request_as_it_is_sent(server, upstream):
    server.script(completion())
    complete(upstream, temperature=0.5, user="end-user-7", tools=[tool()], stop=["x"], seed=3)
    body = sent(server).json
    assert body["model"] == "the-model"
    assert body["messages"] == [{"role": "user", "content": "What is a penguin?"}]
    assert (body["temperature"], body["stop"], body["seed"]) == (0.5, ["x"], 3)
    assert body["tools"] == [tool()]
    assert "stream" not in body
    assert "end-user-7" not in sent(server).body.decode()
    assert sent(server).headers["content-type"] == "application/json"


def tool(name="get_weather"):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


@pytest.mark.parametrize("given", [{"max_tokens": 50, "max_completion_tokens": 60}, {"max_completion_tokens": 50}])
def test_the_cap_goes_under_the_name_that_every_server_knows(server, upstream, given):
    server.script(completion())
    complete(upstream, **given)
    assert sent(server).json["max_tokens"] == 50
    assert "max_completion_tokens" not in sent(server).json


def test_the_role_developer_is_sent_as_system(server, upstream):
    server.script(completion())
    messages = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    complete(upstream, messages=messages)
    assert [message["role"] for message in sent(server).json["messages"]] == ["system", "user"]


def test_tool_calls(server, upstream):
    call = {"id": "call_abc", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}, "x": 1}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    server.script(completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}]))
    [choice] = complete(upstream).choices
    [got] = choice.message.tool_calls
    assert (got.id, got.type, got.function.name, got.function.arguments) == ("call_abc", "function", "f", '{"a": 1}')
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None


def test_several_choices_but_no_more_than_asked_for(server, upstream):
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for text in "abc"
    ]
    server.script(completion(choices=choices))
    assert [choice.message.content for choice in complete(upstream, n=2).choices] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("SAFETY", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("eos", "stop"),
        ("something-new", "stop"),
        (None, "stop"),
        ("", "stop"),
    ],
)
def test_reasons_to_finish(server, upstream, given, expected):
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": given}
    server.script(completion(choices=[choice]), stream([event(chunk_body({"content": "x"}, given))]))
    assert complete(upstream).choices[0].finish_reason == expected
    assert streamed(upstream)[0].choices[0].finish_reason == (expected if given else None)


def test_a_filtered_answer_without_any_message(server, upstream):
    server.script(completion(choices=[{"index": 0, "finish_reason": "content_filter: PROHIBITED_CONTENT"}]))
    [choice] = complete(upstream).choices
    assert (choice.message.content, choice.finish_reason) == (None, "content_filter")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_blocked_prompt(server, upstream, streaming):
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usage": {"prompt_tokens": 7}}
    server.script(stream([event(blocked)]) if streaming else answer(blocked))
    with pytest.raises(ContentFiltered):
        (streamed if streaming else complete)(upstream)


def test_ids_and_versions_cannot_carry_text(server, upstream):
    server.script(completion(id="a secret message", model="m\nx-evil: 1\u20ac", system_fingerprint="hello there"))
    got = complete(upstream)
    assert got.id.startswith("chatcmpl-")
    assert " " not in got.id
    assert got.model == "m?x-evil:?1?"
    assert got.system_fingerprint is msgspec.UNSET


@pytest.mark.parametrize(
    "given",
    [
        {"prompt_tokens": 3},
        {"prompt_tokens": 3, "completion_tokens": None, "total_tokens": 0},
        {"prompt_tokens": 3, "completion_tokens": -5, "prompt_tokens_details": {"text": "hello", "x": [1]}},
    ],
)
def test_usage_is_read_leniently(server, upstream, given):
    server.script(completion(usage=given))
    got = complete(upstream).usage
    assert (got.prompt_tokens, got.completion_tokens, got.total_tokens) == (3, 0, 3)
    assert got.prompt_tokens_details is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param({}, id="no choices"),
        pytest.param(completion_body(choices=[]), id="empty choices"),
        pytest.param(completion_body(choices="x"), id="choices of another type"),
        pytest.param(completion_body(content=["x"]), id="content of another type"),
        pytest.param(b'{"choices": [{"message": {"content": "\xff"}}]}', id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested too deeply"),
        pytest.param(json.dumps(completion_body()).encode()[:-40], id="half"),
        pytest.param(completion_body(choices=[{"message": {"tool_calls": [{"id": "1"}]}}]), id="a call of nothing"),
    ],
)
def test_what_is_no_answer(server, upstream, body):
    server.script(answer(body))
    with pytest.raises(UpstreamFailure) as caught:
        complete(upstream)
    failure = caught.value
    assert (failure.error.status, failure.error.code) == (502, "upstream_error")
    assert (failure.retry, failure.unhealthy) == (True, True)


def test_an_error_told_with_status_200(server, upstream):
    server.script(answer(error_body(code="context_length_exceeded")), answer([{"error": {"code": 429}}]))
    with pytest.raises(BadRequest) as refused:
        complete(upstream)
    assert refused.value.code == "context_length_exceeded"
    with pytest.raises(UpstreamFailure) as failed:
        complete(upstream)
    assert failed.value.error.code == "upstream_rate_limited"


# --- errors -------------------------------------------------------------------------------------

PROMPT = "What is a penguin?"


@pytest.mark.parametrize(
    ("status", "expected", "code", "retry", "unhealthy", "final"),
    [
        (401, 502, "upstream_auth_failed", False, False, True),
        (403, 502, "upstream_auth_failed", False, False, True),
        (404, 502, "upstream_error", False, False, True),
        (402, 502, "upstream_error", False, False, True),
        (302, 502, "upstream_error", False, False, True),
        (408, 504, "upstream_timeout", True, True, False),
        (409, 502, "upstream_error", True, False, False),
        (429, 503, "upstream_rate_limited", True, False, False),
        (500, 502, "upstream_error", True, True, False),
        (502, 502, "upstream_error", True, True, False),
        (503, 503, "upstream_unavailable", True, True, False),
        (504, 504, "upstream_timeout", True, True, False),
        (529, 503, "upstream_unavailable", True, True, False),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_failures_of_the_upstream(server, upstream, status, expected, code, retry, unhealthy, final, streaming):
    server.script(error(status, error_body(f"It failed on: {PROMPT}")), error(status))
    with pytest.raises(UpstreamFailure) as caught:
        (streamed if streaming else complete)(upstream)
    failure = caught.value
    assert (failure.error.status, failure.error.code) == (expected, code)
    assert (failure.retry, failure.unhealthy, failure.final) == (retry, unhealthy, final)
    assert "penguin" not in str(failure) + failure.error.message


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, 86_400.0),
        ({}, None),
    ],
)
def test_retry_after(server, upstream, given, seconds):
    server.script(error(429, headers=given))
    with pytest.raises(UpstreamFailure) as caught:
        complete(upstream)
    assert caught.value.retry_after == seconds
    expected = None if seconds is None else str(max(1, round(seconds)))
    assert caught.value.error.headers.get("retry-after") == expected


AZURE_FILTER = {
    "error": {
        "message": f"The response was filtered: {PROMPT}",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
    }
}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(error_body(kind="invalid_request_error"), "upstream_rejected", id="plain"),
        pytest.param(AZURE_FILTER, "content_filter", id="Azure's filter"),
        pytest.param(error_body(code="content_policy_violation"), "content_filter", id="OpenAI's filter"),
        pytest.param(error_body(code="context_length_exceeded"), "context_length_exceeded", id="OpenAI too long"),
        pytest.param(
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens.",
                "type": "BadRequestError",
                "code": 400,
            },
            "context_length_exceeded",
            id="vLLM too long",
        ),
        pytest.param(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            "context_length_exceeded",
            id="Gemini too long",
        ),
        pytest.param(
            {"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}},
            "context_length_exceeded",
            id="llama.cpp too long",
        ),
        pytest.param({"error": "model requires more memory"}, "upstream_rejected", id="Ollama"),
        pytest.param({"detail": [{"loc": ["body"]}]}, "upstream_rejected", id="FastAPI"),
        pytest.param(b"<html>Bad Request</html>", "upstream_rejected", id="a proxy"),
        pytest.param(b"[]", "upstream_rejected", id="an empty list"),
        pytest.param(b"\xff\xfe", "upstream_rejected", id="not UTF-8"),
        pytest.param(b"x" * 100_000, "upstream_rejected", id="too large"),
        pytest.param(
            b'{"error": {"code": {}, "message": 5, "type": [], "innererror": 1}}', "upstream_rejected", id="x"
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_refusals_that_are_the_callers_to_mend(server, upstream, status, body, code):
    server.script(error(status, body))
    with pytest.raises(BadRequest) as caught:
        complete(upstream)
    assert caught.value.code == code
    assert isinstance(caught.value, ContentFiltered) == (code == "content_filter")
    assert "penguin" not in caught.value.message


@pytest.mark.parametrize("streaming", [False, True])
def test_silence_and_trickle_end_in_time(server, upstream, streaming):
    server.script(silence(), trickle())
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(UpstreamFailure) as caught:
            call(upstream, context(0.3), streaming=streaming)
        assert (caught.value.error.status, caught.value.error.code) == (504, "upstream_timeout")
        assert time.monotonic() - started < 20


def test_an_upstream_that_is_gone():
    with OpenAIServer() as server:
        upstream = OpenAIUpstream(server.url, connect_timeout=2)
        complete(upstream)
    with pytest.raises(UpstreamFailure) as caught:
        complete(upstream)
    assert (caught.value.error.status, caught.value.error.code) == (503, "upstream_unavailable")
    assert (caught.value.retry, caught.value.unhealthy) == (True, True)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_cancelled_call_hangs_up(server, upstream, streaming):
    server.script(stream(text_events() * 100, pace=0.05) if streaming else silence())
    cancel = Cancellation()
    threading.Timer(0.15, cancel.cancel).start()
    limits = context(30, cancel=cancel)
    with pytest.raises(CallCancelled):
        call(upstream, limits, streaming=streaming)
    assert sent(server).hung_up.wait(20)


# --- streams ------------------------------------------------------------------------------------


def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_a_stream(server, upstream):
    server.script(stream(usage_event=True))
    got = streamed(upstream, stream_options={"include_usage": True})
    assert text_of(got) == ANSWER
    assert {chunk.model for chunk in got} == {MODEL}
    assert {chunk.id for chunk in got} == {"chatcmpl-123"}
    assert got[0].choices[0].delta.role == "assistant"
    assert got[-2].choices[0].finish_reason == "stop"
    assert (got[-1].choices, got[-1].usage.total_tokens) == ([], 19)
    assert sent(server).json["stream"] is True
    assert sent(server).json["stream_options"] == {"include_usage": True}


def test_chunks_come_as_they_are_sent(server, upstream):
    server.script(stream(text_events(["a", "b", "c"]), pace=0.1))
    times = [time.monotonic() for _ in upstream.stream(chat(stream=True), "m", context())]
    assert times[-1] - times[0] > 0.2


def test_the_connection_serves_the_next_stream_too(server, upstream):
    server.script(*[stream()] * 3, completion())
    for _ in range(3):
        streamed(upstream)
    complete(upstream)
    assert len({request.connection for request in server.requests if "/chat/" in request.path}) == 1


def test_only_what_guards_can_see_is_streamed(server, upstream):
    events = [
        event(chunk_body({"role": "assistant", "reasoning_content": "unscanned", "content": "a"})),
        event(chunk_body({"reasoning": "unscanned"})),
        event(chunk_body({"content": "b"}, choices_extra="unscanned")),
    ]
    server.script(stream(events))
    encoded = b"".join(msgspec.json.encode(chunk) for chunk in streamed(upstream))
    assert b"unscanned" not in encoded
    assert b"obfuscation" not in encoded


def test_events_without_anything_to_say_are_dropped(server, upstream):
    azure = chunk_body(None, prompt_filter_results=[{"prompt_index": 0}], id="", model="")
    server.script(stream([event(azure), b": comment\n\n", *text_events()]))
    got = streamed(upstream)
    assert got[0].choices[0].delta.role == "assistant"
    assert text_of(got) == ANSWER


def test_streamed_tool_calls(server, upstream):
    server.script(stream(tool_events("f", ['{"a"', ": 1}"])))
    calls = [call for chunk in streamed(upstream) for call in chunk.choices[0].delta.tool_calls or []]
    assert (calls[0].index, calls[0].id, calls[0].type, calls[0].function.name) == (0, "call_abc", "function", "f")
    assert "".join(call.function.arguments or "" for call in calls) == '{"a": 1}'
    assert [call.id for call in calls[1:]] == [None, None]


def test_geminis_tool_calls_without_index(server, upstream):
    def whole(name, index=None):
        call = {"id": f"function-call-{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        return {**call, "index": index, "extra_content": {"google": {"thought_signature": "unscanned"}}}

    delta = {"role": "assistant", "tool_calls": [whole("a"), whole("b")]}
    server.script(stream([event(chunk_body(delta)), event(chunk_body({"tool_calls": [whole("c")]}, "stop"))]))
    got = streamed(upstream)
    calls = [call for chunk in got for call in chunk.choices[0].delta.tool_calls or []]
    assert [(call.index, call.function.name) for call in calls] == [(0, "a"), (1, "b"), (2, "c")]
    assert got[-1].choices[0].finish_reason == "tool_calls"
    assert b"unscanned" not in msgspec.json.encode(got)


GOOD = text_events()
UNASKED = {"choices": [{"index": 3, "delta": {"content": "x"}}]}
OUT_OF_ORDER = {"tool_calls": [{"index": -1, "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(stream(GOOD, done=False), id="no [DONE]"),
        pytest.param(stream(GOOD, done=False, end=False), id="cut"),
        pytest.param(stream([*GOOD[:2], GOOD[2][:20]], done=False, end=False), id="cut in an event"),
        pytest.param(stream([*GOOD[:2], event(b"{not json")]), id="no JSON"),
        pytest.param(stream([*GOOD[:2], event(b"[1, 2]")]), id="a list"),
        pytest.param(stream([*GOOD[:2], b"\x00\xff garbage"], done=False), id="bytes"),
        pytest.param(stream([*GOOD[:2], event(error_body())]), id="an error"),
        pytest.param(stream([*GOOD[:2], event([{"error": {"code": 500, "message": "x"}}])]), id="Google's error"),
        pytest.param(stream([*GOOD[:2], event({"error": "boom"})]), id="Ollama's error"),
        pytest.param(stream([*GOOD[:2], event(chunk_body({"content": "x" * 2_000_000}))]), id="too large an event"),
        pytest.param(stream([*GOOD[:2], b"data: " + b"x" * 2_000_000], done=False), id="too long a line"),
        pytest.param(stream([*GOOD[:2], event(chunk_body({"content": 5}))]), id="content of another type"),
        pytest.param(stream([*GOOD[:2], event(chunk_body(None, **UNASKED))]), id="a choice not asked for"),
        pytest.param(stream([*GOOD[:2], event(chunk_body(OUT_OF_ORDER))]), id="a tool call out of order"),
    ],
)
def test_streams_that_break(server, upstream, reply):
    server.script(reply)
    chunks = upstream.stream(chat(stream=True), "m", context())
    next(chunks)
    with pytest.raises(UpstreamFailure) as caught:
        list(chunks)
    assert caught.value.error.code == "upstream_error"
    assert caught.value.unhealthy


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        pytest.param(stream([]), "upstream_error", id="only [DONE]"),
        pytest.param(stream([], done=False), "upstream_error", id="nothing"),
        pytest.param(stream(content_type="text/html"), "upstream_error", id="another content type"),
        pytest.param(completion(), "upstream_error", id="not streamed"),
        pytest.param(answer(error_body()), "upstream_error", id="an error in place of a stream"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n"), "upstream_error", id="cut in the head"),
        pytest.param(stream([event([{"error": {"code": 429}}])]), "upstream_rate_limited", id="an error first"),
        pytest.param(stream(text_events(), pace=0.4), "upstream_timeout", id="too slow a first chunk"),
    ],
)
def test_streams_that_never_begin(server, upstream, reply, code):
    server.script(reply)
    with pytest.raises(UpstreamFailure) as caught:
        next(upstream.stream(chat(stream=True), "m", context(0.3)))
    assert caught.value.error.code == code


def test_an_error_in_a_stream_that_is_the_callers(server, upstream):
    server.script(stream([*text_events()[:2], event(AZURE_FILTER)]))
    with pytest.raises(ContentFiltered):
        streamed(upstream)


def test_after_the_first_chunk_a_stream_has_the_whole_time(server, upstream):
    server.script(stream(text_events("abcd"), pace=0.15))
    limits = context(0.3)
    limits = type(limits)("r", limits.answer_by, limits.answer_by + 5, limits.cancel)
    assert text_of(upstream.stream(chat(stream=True), "m", limits)) == "abcd"


def test_a_stream_ends_with_its_time(server, upstream):
    server.script(stream(text_events("x" * 100), pace=0.05))
    with pytest.raises(UpstreamFailure) as caught:
        list(upstream.stream(chat(stream=True), "m", context(0.4)))
    assert caught.value.error.code == "upstream_timeout"
    assert sent(server).hung_up.wait(20)


def test_closing_a_stream_hangs_up(server, upstream):
    server.script(stream(text_events("x" * 100), pace=0.05))
    chunks = upstream.stream(chat(stream=True), "m", context())
    next(chunks)
    chunks.close()
    assert sent(server).hung_up.wait(20)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_no_error_repeats_the_prompt(server, upstream, status):
    server.script(*[error(status, error_body(PROMPT))] * 2)
    with pytest.raises((ApiError, UpstreamFailure)) as caught:
        complete(upstream)
    assert "penguin" not in repr(caught.value) + str(caught.value)
