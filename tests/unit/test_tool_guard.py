"""Which tools may be offered and called, with what, and with whose consent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.errors import ConfigurationError, ContentFiltered
from shared.guards.answer import answer_digest, assemble, awaiting_approval
from shared.guards.pipeline import Pipeline
from shared.guards.stream import AnswerStream
from shared.models.wire import ChatCompletion
from shared.policy.load import load_policy
from shared.policy.types import Guards, ToolsRule
from tests.support.chats import answer, call_delta, chat, stream_of, tool
from tests.support.policies import NO_FORM_GUARD_ACTS, NO_TEXT_GUARD_ACTS

REQUEST = chat("x", tools=[tool("read_file"), tool("delete_file"), tool("mail")])
CALLS = answer(None, calls=[("read_file", "{}"), ("delete_file", "{}")], finish_reason="tool_calls")


def guarded(**rule: Any) -> Pipeline:
    return Pipeline(Guards(tools=ToolsRule(**rule)))


def kinds(completion: ChatCompletion, **rule: Any) -> list[tuple[str, str]]:
    findings = guarded(**rule).inspect_answer(completion, REQUEST).findings
    return [(finding.kind, finding.part) for finding in findings if finding.guard == "tools"]


def test_by_default_what_is_declared_may_be_called() -> None:
    inspection = guarded().inspect_answer(CALLS, REQUEST)
    assert (inspection.verdict, inspection.completion) == ("allow", CALLS)


def test_only_listed_tools_may_be_declared() -> None:
    inspection = guarded(offer=["read_*"]).inspect_request(REQUEST)
    assert [(f.kind, f.part) for f in inspection.findings] == [
        ("tool_not_offered", "tools[1].function.name"),
        ("tool_not_offered", "tools[2].function.name"),
    ]
    with pytest.raises(ContentFiltered, match="'tools'") as refused:
        inspection.raise_if_blocked()
    assert refused.value.param == "tools[1].function.name"
    guarded(offer=["*"]).inspect_request(REQUEST).raise_if_blocked()
    assert guarded(offer=[], action="flag").inspect_request(REQUEST).verdict == "flag"
    assert guarded(offer=[], mode="monitor").inspect_request(REQUEST).verdict == "allow"


def test_only_listed_tools_may_be_called() -> None:
    name = "choices[0].message.tool_calls[1].function.name"
    assert kinds(CALLS, call=["read_file", "mail"]) == [("tool_not_allowed", name)]
    assert (
        guarded(call=["read_file"]).inspect_answer(CALLS, REQUEST).completion.choices[0].message.tool_calls
        is msgspec.UNSET
    )
    assert kinds(CALLS, call=["read_file", "delete*"]) == []


@pytest.mark.parametrize(
    ("arguments", "found"), [('{"path": "/tmp/a"}', 0), ('{"path": "/etc/passwd"}', 1), ("{}", 1), ("[", 1), ("", 1)]
)
def test_the_policy_may_say_with_what(arguments: str, found: int) -> None:
    schema = {"type": "object", "properties": {"path": {"pattern": "^/tmp/"}}, "required": ["path"]}
    made = answer(None, calls=[("read_file", arguments)])
    path = "choices[0].message.tool_calls[0].function.arguments"
    assert kinds(made, arguments={"read_file": schema}) == [("arguments_not_allowed", path)] * found


def test_a_call_that_needs_consent_is_marked() -> None:
    inspection = guarded(approve=["delete_*"]).inspect_answer(CALLS, REQUEST)
    assert (inspection.verdict, [finding.kind for finding in inspection.findings]) == ("flag", ["approval_required"])
    calls = msgspec.to_builtins(inspection.completion)["choices"][0]["message"]["tool_calls"]
    assert [call.get("wardgate_approval") for call in calls] == [None, "required"]
    assert awaiting_approval(inspection.completion) == ("call_1",)
    assert awaiting_approval(CALLS) == ()
    assert answer_digest(inspection.completion) == answer_digest(CALLS)
    assert awaiting_approval(guarded(approve=["*"], mode="monitor").inspect_answer(CALLS, REQUEST).completion) == ()


@pytest.mark.parametrize("action", ["block", "flag"])
def test_marks_in_streams(action: str) -> None:
    rules = {**NO_TEXT_GUARD_ACTS, **NO_FORM_GUARD_ACTS, "tools": ToolsRule(approve=["delete_file"], action=action)}
    stream = AnswerStream(Pipeline(Guards(**rules)), REQUEST)
    calls = [
        call_delta(0, "delete", "{", "call_0"),
        call_delta(0, "_file", "}"),
        call_delta(1, "mail", "{}", "call_1"),
    ]
    sent = [out for piece in stream_of([], calls=calls, finish_reason="tool_calls") for out in stream.feed(piece)]
    made = assemble(sent)
    assert awaiting_approval(made) == ("call_0",)
    deltas = [call for out in sent for choice in out.choices for call in choice.delta.tool_calls or ()]
    assert [msgspec.to_builtins(call).get("wardgate_approval") for call in deltas] == ["required", None]


def test_a_schema_of_the_policy_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("guards: {tools: {arguments: {f: {pattern: '(?=a)'}}}}")
    with pytest.raises(ConfigurationError) as wrong:
        Pipeline(load_policy(path).file.guards)
    assert wrong.value.faults[0].path == "guards.tools.arguments.f"


@pytest.mark.parametrize("name", ["a*b", "", "a b", "*a", "a" * 65])
def test_names_are_checked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"guards: {{tools: {{call: ['{name}']}}}}")
    with pytest.raises(ConfigurationError, match=r"guards\.tools\.call\[0\]"):
        load_policy(path)


def test_what_belongs_to_no_request_is_not_said_to_have_been_judged() -> None:
    for direction in ("input", "output"):
        status = {run.guard: run.status for run in Pipeline(Guards()).inspect_text("x", direction).runs}
        assert status["tools"] == "skipped"
        assert status.get("schema") in (None, "skipped")
