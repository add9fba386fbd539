"""The stand-in model follows the protocol, and says what it is."""

from __future__ import annotations

import json

import jsonschema
import pytest

from shared.errors import BadRequest
from shared.models.upstreams.builtin import MODEL, NOTICE, BuiltinUpstream
from shared.web.http_client import CallCancelled
from tests.support.models import chat, context

MODEL_ITSELF = BuiltinUpstream()


def complete(**fields):
    return MODEL_ITSELF.complete(chat(**fields), "any", context())


def stream(**fields):
    return list(MODEL_ITSELF.stream(chat(stream=True, **fields), "any", context()))


def content(**fields):
    return complete(**fields).choices[0].message.content


def tool(name="get_weather", parameters=None):
    return {"type": "function", "function": {"name": name, "parameters": parameters or WEATHER}}


WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "extra": {"type": "number"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def test_it_says_what_it_is_and_what_it_was_asked():
    answer = complete(text="What is a penguin?")
    assert answer.choices[0].message.content == f"{NOTICE} It was asked: What is a penguin?"
    assert (answer.model, answer.system_fingerprint) == (MODEL, "fp_wardgate_builtin_1")
    assert answer.choices[0].finish_reason == "stop"


def test_the_echo_is_bounded():
    assert len(content(text="x" * 100_000)) < 4_200


def test_it_repeats_the_last_user_or_tool_message():
    messages = [
        {"role": "system", "content": "hidden"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "between"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    ]
    assert content(messages=messages).endswith("It was asked: one\ntwo")


def test_usage_is_counted_by_four_characters():
    answer = complete(messages=[{"role": "system", "content": "12345"}, {"role": "user", "content": "1234"}])
    said = len(answer.choices[0].message.content)
    assert answer.usage.prompt_tokens == 2 + 1
    assert answer.usage.completion_tokens == -(-said // 4)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_cap_on_tokens_is_kept(name):
    answer = complete(**{name: 3})
    assert answer.choices[0].message.content == NOTICE[:12]
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


def test_the_lower_of_two_caps_counts():
    assert content(max_tokens=5, max_completion_tokens=2) == NOTICE[:8]


@pytest.mark.parametrize("stop", ["stand-in", ["never", "stand-in"]])
def test_stop_sequences_end_the_answer(stop):
    answer = complete(stop=stop)
    assert answer.choices[0].message.content == "This is Wardgate's built-in "
    assert answer.choices[0].finish_reason == "stop"


def test_several_choices():
    answer = complete(n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.completion_tokens == 3 * -(-len(answer.choices[0].message.content) // 4)


def test_a_tool_is_called_after_the_user_has_spoken():
    [choice] = complete(tools=[tool("first"), tool("second")]).choices
    [call] = choice.message.tool_calls
    assert (call.function.name, choice.finish_reason, choice.message.content) == ("first", "tool_calls", None)
    jsonschema.validate(json.loads(call.function.arguments), WEATHER)


def test_a_tools_result_is_answered_in_text():
    messages = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "Rain."},
    ]
    assert content(messages=messages, tools=[tool()]).endswith("It was asked: Rain.")
    assert complete(messages=messages, tools=[tool()], tool_choice="required").choices[0].message.tool_calls


def test_tool_choice():
    named = {"type": "function", "function": {"name": "second"}}
    tools = [tool("first"), tool("second")]
    assert complete(tools=tools, tool_choice=named).choices[0].message.tool_calls[0].function.name == "second"
    assert content(tools=tools, tool_choice="none").startswith(NOTICE)
    with pytest.raises(BadRequest) as caught:
        complete(tools=tools[:1], tool_choice=named)
    assert caught.value.param == "tool_choice"


def test_a_tool_without_parameters():
    function = {"type": "function", "function": {"name": "f"}}
    assert complete(tools=[function]).choices[0].message.tool_calls[0].function.arguments == "{}"


def test_a_json_object():
    got = json.loads(content(text="hi", response_format={"type": "json_object"}))
    assert got == {"model": MODEL, "notice": NOTICE, "asked": "hi"}


def test_a_json_schema():
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "steps": {"type": "array", "items": {"type": "string"}}},
        "required": ["answer", "steps"],
        "additionalProperties": False,
    }
    got = json.loads(content(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}))
    jsonschema.validate(got, schema)
    assert got["answer"] == MODEL


def test_a_schema_that_it_cannot_satisfy():
    schema = {"type": "string", "pattern": "^a$"}
    with pytest.raises(BadRequest) as caught:
        complete(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
    assert caught.value.param == "response_format.json_schema.schema"


def text_of(chunks, index=0):
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index)


def test_a_stream_says_the_same_in_several_pieces():
    chunks = stream(n=2)
    for index in (0, 1):
        assert text_of(chunks, index) == content()
    assert sum(1 for chunk in chunks if chunk.choices[0].delta.content) > 6
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == ["stop", "stop"]
    assert {chunk.model for chunk in chunks} == {MODEL}
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_counts_usage_if_asked():
    chunks = stream(stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage == complete().usage


def test_a_streamed_tool_call():
    chunks = stream(tools=[tool()])
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert (calls[0].function.name, calls[0].type) == ("get_weather", "function")
    jsonschema.validate(json.loads("".join(call.function.arguments or "" for call in calls)), WEATHER)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_streamed_answer_within_a_cap():
    chunks = stream(max_tokens=3)
    assert text_of(chunks) == NOTICE[:12]
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_cancelled_stream_ends():
    limits = context()
    chunks = MODEL_ITSELF.stream(chat(stream=True), "any", limits)
    next(chunks)
    limits.cancel.cancel()
    with pytest.raises(CallCancelled):
        next(chunks)
