"""Answers and tool arguments against declared schemas, which are untrusted programs."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.guards.answer import assemble
from shared.guards.pipeline import Pipeline
from shared.guards.schemas import MOST_BYTES, TooMuchWork, UnusableSchema, compiled
from shared.guards.stream import AnswerStream
from shared.models.wire import ChatCompletion, ChatRequest
from shared.policy.types import GuardRule, Guards
from tests.support.chats import answer, call_delta, chat, stream_of, tool
from tests.support.openai_server import OpenAIServer

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "days": {"$ref": "#/$defs/days"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"days": {"type": "integer", "minimum": 1}},
}
PIPELINE = Pipeline(Guards())
TOOL = chat("x", tools=[tool("weather", parameters=CITY), tool("free")])


def structured(schema: Any) -> ChatRequest:
    declared = {"name": "s", "schema": schema}
    return chat("x", response_format={"type": "json_schema", "json_schema": declared})


def kinds(completion: ChatCompletion, request: ChatRequest, **rule: Any) -> list[str]:
    inspection = Pipeline(Guards(schema=GuardRule(**rule))).inspect_answer(completion, request)
    assert not inspection.faults
    return [finding.kind for finding in inspection.findings if finding.guard == "schema"]


@pytest.mark.parametrize(
    ("value", "conforms"),
    [
        ({"city": "Bonn"}, True),
        ({"city": "Bonn", "days": 2}, True),
        ({"city": "Bonn", "days": 0}, False),
        ({"city": "bonn"}, False),
        ({"city": "Bonn", "other": 1}, False),
        ({}, False),
        ([], False),
    ],
)
def test_answers_and_arguments_conform_or_are_blocked(value: Any, conforms: bool) -> None:
    text = json.dumps(value)
    assert kinds(answer(text), structured(CITY)) == ([] if conforms else ["schema_mismatch"])
    found = kinds(answer(None, calls=[("weather", text)]), TOOL)
    assert found == ([] if conforms else ["arguments_mismatch"])
    whole = PIPELINE.inspect_answer(answer(text), structured(CITY))
    assert whole.completion.choices[0].message.content == (text if conforms else None)


@pytest.mark.parametrize(
    ("completion", "request_"),
    [
        (answer('{"city": "b', finish_reason="length"), structured(CITY)),
        (answer(None, refusal="no"), structured(CITY)),
        (answer("not json"), structured(CITY)),  # which the guard `output` tells
        (answer(None, calls=[("free", '{"any": 1}')]), TOOL),
        (answer(None, calls=[("unknown", "{}")]), TOOL),
        (answer('{"a": 1}'), chat("x", response_format={"type": "json_object"})),
        (answer("{}"), structured(None)),
        (answer("text"), chat("x")),
    ],
)
def test_where_nothing_is_declared_or_complete_nothing_is_judged(
    completion: ChatCompletion, request_: ChatRequest
) -> None:
    assert kinds(completion, request_) == []


def test_what_the_policy_says() -> None:
    wrong = answer("{}")
    assert kinds(wrong, structured(CITY), mode="off") == []
    flagged = Pipeline(Guards(schema=GuardRule(action="flag"))).inspect_answer(wrong, structured(CITY))
    assert (flagged.verdict, flagged.completion) == ("flag", wrong)


@pytest.mark.parametrize("split", range(0, 30, 3))
def test_streamed_arguments_leave_only_if_they_conform(split: int) -> None:
    for arguments, leaves in (('{"city": "Bonn", "days": 3}', True), ('{"city": "Bonn", "days": 0}', False)):
        calls = [call_delta(0, "weather", arguments[:split], "call_0"), call_delta(0, None, arguments[split:])]
        stream = AnswerStream(PIPELINE, TOOL)
        sent = [
            out for piece in stream_of(["hm"], calls=calls, finish_reason="tool_calls") for out in stream.feed(piece)
        ]
        made = assemble(sent).choices[0]
        assert [call.function.arguments for call in made.message.tool_calls or ()] == [arguments] * leaves
        assert made.finish_reason == ("tool_calls" if leaves else "content_filter")


# --- schemas as programs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"pattern": "("},
        {"pattern": "(?=a)b"},
        {"pattern": r"(a)\1"},
        {"pattern": "((x{500}){500}){500}"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/nowhere"},
        {"$schema": "http://127.0.0.1/schema"},
        {"$id": "http://127.0.0.1/", "$ref": "other.json"},
        {"allOf": [{"pattern": "a" * 100}] * 100},
    ],
)
def test_schemas_that_cannot_be_enforced_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnusableSchema):
        compiled(schema)
    for request, path in (
        (chat("x", tools=[tool("a"), tool("f", parameters=schema)]), "tools[1].function.parameters"),
        (structured(schema), "response_format.json_schema.schema"),
    ):
        with pytest.raises(BadRequest) as refused:
            PIPELINE.check_request(request)
        assert (refused.value.code, refused.value.param) == ("invalid_json_schema", path)
        for rule in ({"fail": "open"}, {"mode": "monitor"}, {"mode": "off"}):
            Pipeline(Guards(schema=GuardRule(**rule))).check_request(request)


def test_a_schema_that_cannot_be_enforced_is_reported_where_it_was_let_in() -> None:
    pipeline = Pipeline(Guards(schema=GuardRule(fail="open")))
    inspection = pipeline.inspect_answer(answer("{}"), structured({"pattern": "(?=a)"}))
    assert inspection.verdict == "allow"
    assert {run.guard: run.status for run in inspection.runs}["schema"] == "failed_open"


def test_a_schema_can_only_be_so_large() -> None:
    with pytest.raises(UnusableSchema, match="more than 131072 bytes"):
        compiled({"enum": ["x" * MOST_BYTES]})


def test_much_work_is_the_fail_mode_s_business() -> None:
    large = {"items": {"allOf": [{"minimum": -number} for number in range(5000)]}}
    made = answer("[" + ",".join(["1"] * 30_000) + "]")
    inspection = PIPELINE.inspect_answer(made, structured(large))
    assert (inspection.verdict, inspection.faults) == ("block", {"schema": "TooMuchWork"})


def test_nothing_is_fetched() -> None:
    with OpenAIServer() as server, pytest.raises(UnusableSchema):
        compiled({"$ref": f"{server.url}/schema.json"})
    assert server.requests == []


def test_a_pattern_takes_linear_time() -> None:
    schema = compiled({"pattern": "^(a+)+$"})
    assert not schema.allows("a" * 100_000 + "b")


def test_recursion_is_bounded() -> None:
    node: dict[str, Any] = {
        "$defs": {"n": {"anyOf": [{"items": {"$ref": "#/$defs/n"}, "title": str(i)} for i in range(9)]}}
    }
    schema = compiled({**node, "$ref": "#/$defs/n"})
    value: Any = 1
    for _ in range(60):
        value = [value]
    assert schema.allows(value)
    for _ in range(2000):
        value = [value]
    assert schema.allows(value) in (True, False)


def _refers(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _doubling(steps: int, last: dict[str, Any], keyword: str = "allOf") -> dict[str, Any]:
    """A schema of definitions of which each refers to the next one twice."""
    defs: dict[str, Any] = {f"d{i}": {keyword: [_refers(f"d{i + 1}"), _refers(f"d{i + 1}")]} for i in range(steps)}
    return {"$defs": {**defs, f"d{steps}": last}, **_refers("d0")}


def _nested_unevaluated(steps: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": {}}}
    for _ in range(steps):
        schema = {"anyOf": [schema], "unevaluatedProperties": False}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        _doubling(40, {"type": "object"}),
        _doubling(40, {"type": "string"}, "oneOf"),
        _doubling(20, {"properties": {"a": _refers("d0")}}),
        _nested_unevaluated(40),
    ],
    ids=["references", "alternatives", "a cycle", "unevaluated"],
)
def test_references_cannot_multiply_rules_without_end(schema: dict[str, Any]) -> None:
    value = {"a": {"a": {}}}
    with pytest.raises(TooMuchWork):
        compiled(schema).allows(value, len(json.dumps(value)))


@pytest.mark.parametrize("reference", ["#/$defs/none", "#name", "other", "https://example.com/s", "#/$defs/x/0"])
def test_only_pointers_to_what_is_there_are_references(reference: str) -> None:
    with pytest.raises(UnusableSchema):
        compiled({"$defs": {"x": {"$anchor": "name"}}, "properties": {"a": {"$ref": reference}}})


def test_a_grammar_that_refers_to_itself_is_judged() -> None:
    kinds = ("add", "sub", "mul", "div", "pow", "mod", "min", "max")
    variants = [
        {
            "type": "object",
            "properties": {"op": {"const": kind}, "left": _refers("expression"), "right": _refers("expression")},
            "required": ["op", "left", "right"],
            "additionalProperties": False,
        }
        for kind in kinds
    ]
    schema = compiled({"$defs": {"expression": {"anyOf": [*variants, {"type": "number"}]}}, **_refers("expression")})
    value: Any = 1
    for kind in kinds:
        value = {"op": kind, "left": value, "right": 2}
    assert schema.allows(value, 10_000)
    assert not schema.allows({**value, "op": "root"}, 10_000)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {},
            {"type": "string"},
            {"type": "integer"},
            {"minimum": 0},
            {"maxLength": 2},
            {"enum": [1, "a", None]},
            {"const": 0},
        ]
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda p: {"properties": p, "required": sorted(p)[:1]}
        ),
        inner.map(lambda items: {"items": items, "type": "array"}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
        inner.map(lambda each: {"not": each}),
        inner.map(lambda each: {"additionalProperties": each}),
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, VALUES)
def test_verdicts_are_those_of_another_implementation(schema: dict[str, Any], value: Any) -> None:
    assert compiled(schema).allows(value) is jsonschema.Draft202012Validator(schema).is_valid(value)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["type", "pattern", "$ref", "items", "enum", "properties", "anyOf"]), VALUES),
    VALUES,
)
def test_no_schema_makes_it_raise_anything_else(schema: dict[str, Any], value: Any) -> None:
    with suppress(UnusableSchema):
        compiled(schema).allows(value)
