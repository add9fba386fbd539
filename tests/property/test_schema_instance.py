"""The smallest instance of a schema is one: an independent validator says so."""

from __future__ import annotations

import contextlib

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.models.upstreams.instance import NoInstance, smallest_instance

TEXT = "wardgate-builtin-1"


def check(schema):
    made = smallest_instance(schema, TEXT)
    jsonschema.Draft202012Validator(schema).validate(made)
    return made


SMALL = st.integers(0, 5)
NUMBERS = st.integers(-20, 20)


def objects(schemas):
    return st.dictionaries(st.sampled_from("abcd"), schemas, max_size=3).flatmap(
        lambda properties: st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.just(properties),
                "required": st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]),
            },
            optional={"additionalProperties": st.just(False), "description": st.just("x")},
        )
    )


LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": SMALL, "maxLength": st.integers(5, 40)}),
    st.fixed_dictionaries(
        {"type": st.just("integer")},
        optional={"minimum": NUMBERS, "exclusiveMaximum": st.integers(25, 40), "multipleOf": st.integers(1, 7)},
    ),
    st.fixed_dictionaries({"type": st.just("number")}, optional={"exclusiveMinimum": NUMBERS, "maximum": st.just(30)}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": [1]}, {"enum": ["x", 2]}, True, {}]),
    st.sampled_from([{"type": ["string", "null"]}, {"type": "string", "format": "date"}, {"$ref": "#/$defs/shared"}]),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        objects(inner),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner}, optional={"minItems": SMALL, "prefixItems": st.just([{}])}
        ),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        objects(inner).map(lambda schema: {"allOf": [schema, {"title": "x"}]}),
    ),
    max_leaves=8,
)


@given(schema=SCHEMAS)
@settings(max_examples=150)
def test_an_instance_is_valid(schema):
    check(
        {"allOf": [schema], "$defs": {"shared": {"type": "string"}}}
        if isinstance(schema, dict)
        else {"anyOf": [schema]}
    )


KEYWORDS = [
    *("type", "properties", "required", "items", "prefixItems", "minItems", "anyOf", "allOf", "$ref", "enum", "const"),
    *("minimum", "maximum", "multipleOf", "minLength", "maxLength", "format", "object", "string", "#"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
    max_leaves=12,
)


@given(schema=st.dictionaries(st.sampled_from(KEYWORDS), JSON, max_size=5))
@settings(max_examples=150)
def test_nonsense_is_refused_by_one_error(schema):
    with contextlib.suppress(NoInstance):
        smallest_instance(schema, TEXT)


RECURSIVE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["name", "next"],
            "additionalProperties": False,
        }
    },
}


def test_a_recursive_schema():
    check(RECURSIVE)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 5000, "items": {"type": "array", "minItems": 5000}},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/missing"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "string", "pattern": "a"},
        {"not": {}},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "integer", "multipleOf": 0},
        {"type": "nothing"},
        {"type": "string", "format": "unknown"},
        {"enum": []},
        {"anyOf": []},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "object", "minProperties": 3},
    ],
)
def test_what_cannot_be_satisfied_is_refused(schema):
    with pytest.raises(NoInstance):
        smallest_instance(schema, TEXT)


def test_free_strings_name_the_model():
    assert check({"type": "string"}) == TEXT
    assert check({"type": "string", "maxLength": 3, "minLength": 2}) == ".."
    assert check({"type": "string", "minLength": 30}).startswith(TEXT)
