"""Answers are what was asked for: declared tools, JSON where JSON was asked for, bounded size."""

from __future__ import annotations

import pytest

from shared.guards.forms import Expected
from shared.guards.output import OutputGuard
from shared.models.wire import ChatCompletion, ChatRequest
from shared.policy.types import GuardRule
from tests.support.chats import answer, chat, tool

TOOLS = chat("x", tools=[tool("lookup"), tool("send")])
OBJECT = chat("x", response_format={"type": "json_object"})
SCHEMA = chat("x", response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": {}}})


def kinds(completion: ChatCompletion, request: ChatRequest, action: str = "block") -> list[tuple[str, str]]:
    guard = OutputGuard(GuardRule(action=action), 100)
    return [
        (finding.kind, finding.action)
        for choice in completion.choices
        for finding in guard.validate(choice, Expected.of(request))
    ]


@pytest.mark.parametrize(
    ("completion", "request_"),
    [
        (answer("anything {"), chat("x")),
        (answer(None, calls=[("lookup", "{}"), ("send", '{"to": [1]}')]), TOOLS),
        (answer('{"a": 1}'), OBJECT),
        (answer("[1]"), SCHEMA),
        (answer(None, refusal="no"), OBJECT),
        (
            answer(None, calls=[("lookup", "{}")]),
            chat("x", tools=[tool("lookup")], response_format={"type": "json_object"}),
        ),
        (answer(None, finish_reason="content_filter"), OBJECT),
        (answer("plain"), chat("x", response_format={"type": "text"})),
    ],
)
def test_what_was_asked_for_passes(completion: ChatCompletion, request_: ChatRequest) -> None:
    assert kinds(completion, request_) == []


@pytest.mark.parametrize(
    ("completion", "request_", "kind"),
    [
        (answer(None, calls=[("rm", "{}")]), TOOLS, "undeclared_tool"),
        (answer(None, calls=[("lookup", "{}")]), chat("x"), "undeclared_tool"),
        (answer(None, calls=[("f", "{}")]), chat("x", tools=[tool("f")], tool_choice="none"), "undeclared_tool"),
        (answer(None, calls=[("lookup", "{")]), TOOLS, "invalid_tool_arguments"),
        (answer(None, calls=[("lookup", "[]")]), TOOLS, "invalid_tool_arguments"),
        (answer(None, calls=[("lookup", "")]), TOOLS, "invalid_tool_arguments"),
        (answer(None, calls=[("lookup", '{"a":' * 5000)]), TOOLS, "invalid_tool_arguments"),
        (answer("[1]"), OBJECT, "invalid_json"),
        (answer("Sure! {}"), OBJECT, "invalid_json"),
        (answer("NaN"), SCHEMA, "invalid_json"),
        (answer(None), OBJECT, "invalid_json"),
        (answer(""), SCHEMA, "invalid_json"),
    ],
)
def test_what_was_not_asked_for_is_found(completion: ChatCompletion, request_: ChatRequest, kind: str) -> None:
    assert kinds(completion, request_) == [(kind, "block")]
    assert kinds(completion, request_, "redact") == [(kind, "block")]
    assert kinds(completion, request_, "flag") == [(kind, "flag")]


@pytest.mark.parametrize("finish_reason", ["length", "content_filter"])
def test_json_that_says_it_was_cut_short_is_flagged_only(finish_reason: str) -> None:
    assert kinds(answer('{"a', finish_reason=finish_reason), OBJECT) == [("json_cut_short", "flag")]
    calls = answer(None, calls=[("lookup", '{"a')], finish_reason=finish_reason)
    assert kinds(calls, TOOLS) == [("json_cut_short", "flag")]


def test_size() -> None:
    guard = OutputGuard(GuardRule(action="block"), 100)
    assert guard.oversize(100) == []
    (finding,) = guard.oversize(101)
    assert (finding.kind, finding.span, finding.owasp) == ("answer_too_large", (100, 101), "LLM04:2023/LLM10:2025")
