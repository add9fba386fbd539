"""No body, however odd, gets past the reader as anything but a request or a precise 4xx."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.models.wire import ChatRequest
from shared.web.request import decode_json

DEPTH = 32
SOUND = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=20,
)


def fault_of(body: bytes) -> BadRequest | None:
    try:
        decode_json(body, ChatRequest, depth=DEPTH)
    except BadRequest as error:
        return error
    return None


def refuse(body: bytes | str) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        decode_json(body.encode() if isinstance(body, str) else body, ChatRequest, depth=DEPTH)
    return caught.value


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b'{"a":' * 100_000)
@example(b"[" * 100_000)
@example(b'"\\ud800"')
def test_arbitrary_bytes_are_refused_with_400(body: bytes) -> None:
    refuse(body)


@given(
    field=st.sampled_from(["messages", "temperature", "tools", "stop", "seed", "logit_bias", "extra"]),
    value=json_values,
)
def test_arbitrary_values_parse_or_name_the_field(field: str, value: object) -> None:
    body = json.dumps({**SOUND, field: value}).encode()
    fault = fault_of(body)
    if fault is not None:
        named = fault.param is not None and fault.param.split(".")[0].split("[")[0] == field
        assert named or fault.code in {"invalid_json", "invalid_unicode", "duplicate_key", "nested_too_deep"}


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "invalid_value", "messages[0].content"),
        ({"messages": [SOUND["messages"][0]] * 10_000}, "invalid_value", "messages"),
        ({"max_tokens": -1}, "invalid_value", "max_tokens"),
        ({"max_tokens": 10**30}, "invalid_value", "max_tokens"),
        ({"temperature": "hot"}, "invalid_value", "temperature"),
        ({"n": 1000}, "invalid_value", "n"),
        ({"logprobs": True}, "unsupported_parameter", "logprobs"),
        ({"model": None}, "invalid_value", "model"),
    ],
)
def test_the_offending_field_is_named(change: dict[str, object], code: str, param: str | None) -> None:
    error = refuse(json.dumps({**SOUND, **change}))
    assert (error.status, error.code, error.param) == (400, code, param)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        (b"\xff", "invalid_utf8"),
        ('{"model": NaN}', "invalid_json"),
        ('{"model": "a", "seed": 1e999}', "invalid_json"),
        ('{"model": "a", "model": "b"}', "duplicate_key"),
        ("[" * 33 + "]" * 33, "nested_too_deep"),
        ('{"model":"a","messages":[{"role":"user","content":"\\ud800"}]}', "invalid_unicode"),
        ("null", "invalid_value"),
    ],
)
def test_what_parsers_disagree_on_is_refused(body: str | bytes, code: str) -> None:
    assert refuse(body).code == code


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ('{"seed": 1e999}', "invalid_json", "seed"),
        ('{"a": [[1, 2], {"b": [0, -Infinity]}]}', "invalid_json", "a[1].b[1]"),
        ('[{"role": 1}, {"role": 1, "role": 2}]', "duplicate_key", "[1].role"),
        ('{"messages": [{"x": {"role": NaN, "role": 2}}]}', "invalid_json", "messages[0].x.role"),
        ("NaN", "invalid_json", None),
        ('{"a": NaN, "b"}', "invalid_json", None),
        (f'{{"{"k" * 100}": NaN}}', "invalid_json", "k" * 64),
        (f'{{"a": NaN, "b": "{"x" * 65_536}"}}', "invalid_json", None),
    ],
)
def test_where_such_a_part_stands_is_told(body: str, code: str, param: str | None) -> None:
    error = refuse(body)
    assert (error.code, error.param) == (code, param)


@given(
    st.recursive(
        st.just(0),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=4)
            | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, min_size=1, max_size=4)
        ),
    )
)
def test_the_first_of_such_parts_is_told(tree: Any) -> None:
    place, part = "", tree
    while part != 0:
        step = next(iter(part)) if isinstance(part, dict) else 0
        place += f".{step}" if isinstance(part, dict) else "[0]"
        part = part[step]
    body = json.dumps(tree).replace("0", "1e999")
    assert refuse(body).param == (place.lstrip(".") or None)


def test_a_pair_of_surrogates_is_a_character() -> None:
    request = decode_json(
        b'{"model":"a","messages":[{"role":"user","content":"\\ud83d\\ude00"}]}', ChatRequest, depth=DEPTH
    )
    assert request.messages[0].content == "\N{GRINNING FACE}"


def test_an_error_never_repeats_a_value() -> None:
    marker = "sk-live-marker"
    for body in (
        {**SOUND, "tool_choice": marker},
        {**SOUND, "reasoning_effort": marker},
        {**SOUND, "messages": [{"role": marker, "content": "x"}]},
        {**SOUND, "temperature": marker},
    ):
        assert marker not in refuse(json.dumps(body)).message
