"""Every pattern of the policy means its whole text: what a file or a paste leaves at the end is not let through."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy.schema import policy_schema
from shared.policy.types import Url

UNSEEN = ["\n", "\r\n", "\r", "\t", " ", "\0", "\x0b", "\x85", "\xa0", "\u2028", "\ufeff"]


def patterns(schema: Any) -> set[str]:
    """Those of a schema and all its parts, also of the keys of mappings."""
    if isinstance(schema, list):
        return {pattern for part in schema for pattern in patterns(part)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    return own | {pattern for part in schema.values() for pattern in patterns(part)}


PATTERNS = sorted(patterns(policy_schema()))


def accepts(pattern: str, text: str) -> bool:
    """Whether a policy may hold the text, as msgspec reads it."""
    try:
        msgspec.json.decode(json.dumps(text), type=Annotated[str, msgspec.Meta(pattern=pattern)])
    except msgspec.ValidationError:
        return False
    return True


def test_all_patterns_are_here() -> None:
    assert len(PATTERNS) >= 6


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_one_in_ecmascript_too(pattern: str) -> None:
    """What JSON Schema asks for; editors read the published one with it."""
    assert pattern.startswith("^")
    assert not re.search(r"\\[AZz]|\(\?[^:=!]|[*+?]\+", pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(data=st.data())
@settings(max_examples=60)
def test_nothing_unseen_is_let_through(pattern: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    assert accepts(pattern, text)
    assert text.isprintable()
    for unseen in UNSEEN:
        assert not accepts(pattern, text + unseen)
        assert not accepts(pattern, unseen + text)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.com",
        "https://example.com?query",
        "https://example.com/path?query",
        "https://example.com#part",
        "https://example.com/a b",
        "https://exa\tmple.com",
        "https://bücher.example",
        "https://",
        "ftp://example.com",
        "//example.com",
    ],
)
def test_addresses_that_a_policy_may_not_name(url: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(url, Url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/v1",
        "https://login.example.com/a-tenant@1/v2.0/;x=1,(2)'~%20",
    ],
)
def test_addresses_that_a_policy_may_name(url: str) -> None:
    assert msgspec.convert(url, Url) == url
