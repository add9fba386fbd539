"""The hold-back: what leaves of a stream, when, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from shared.guards.answer import answer_digest, assemble
from shared.guards.inspection import Armed
from shared.guards.pipeline import Pipeline
from shared.guards.port import Reach, bounded, growing, together
from shared.guards.stream import AnswerStream
from shared.models.wire import ChatChunk, ChatRequest, Delta, TokenUsage, ToolCallDelta
from shared.policy.types import GuardRule, Guards, SizeLimits, SuspiciousRule
from tests.support.chats import answer, call_delta, chat, chunk, stream_of, tool
from tests.support.policies import NO_FORM_GUARD_ACTS, NO_TEXT_GUARD_ACTS

CALLING = chat("x", tools=[tool("lookup"), tool("send")])
JSON = chat("x", response_format={"type": "json_object"})


def suspicious(action: str, **rules: Any) -> Pipeline:
    return guarded(suspicious=SuspiciousRule(action=action), **rules)


def guarded(**rules: Any) -> Pipeline:
    return Pipeline(Guards(**{**NO_TEXT_GUARD_ACTS, **rules}))


DEFAULT, REDACTING, BLOCKING = guarded(), suspicious("redact"), suspicious("block")


def through(pipeline: Pipeline, chunks: list[ChatChunk], request: ChatRequest | None = None) -> list[list[ChatChunk]]:
    """What comes out for each chunk that goes in, and at the end."""
    stream = AnswerStream(pipeline, request or chat("x"))
    return [*(stream.feed(chunk) for chunk in chunks), stream.finish()]


def flat(groups: list[list[ChatChunk]]) -> list[ChatChunk]:
    return [chunk for group in groups for chunk in group]


def shape(chunks: list[ChatChunk]) -> list[tuple[Any, ...]]:
    return [
        (choice.delta.role, choice.delta.content, choice.finish_reason) for chunk in chunks for choice in chunk.choices
    ]


def test_where_no_guard_acts_chunks_leave_as_they_come() -> None:
    chunks = stream_of(["Hel", "lo, sudo", "."])
    groups = through(DEFAULT, chunks)
    assert flat(groups) == chunks
    assert [len(group) for group in groups] == [1, 1, 1, 1, 1, 0]


def test_order_and_meaning_of_the_metadata_stay() -> None:
    usage = TokenUsage(1, 2, 3)
    chunks = [
        chunk(Delta(role="assistant", content=""), usage=None, system_fingerprint="fp"),
        chunk(Delta(content="The password of the administrator is unknown."), usage=None, system_fingerprint="fp"),
        chunk(finish_reason="stop", usage=None, system_fingerprint="fp"),
        ChatChunk("chatcmpl-1", [], 1, "default", usage=usage, system_fingerprint="fp"),
    ]
    out = flat(through(REDACTING, chunks))
    assert shape(out) == [
        ("assistant", "", None),
        (None, "The [FILTERED] of the [FILTERED]", None),
        (None, " is unknown.", None),
        (None, None, "stop"),
    ]
    assert [chunk.usage for chunk in out] == [None, None, None, None, usage]
    assert {(chunk.id, chunk.created, chunk.model, chunk.system_fingerprint) for chunk in out} == {
        ("chatcmpl-1", 1, "default", "fp")
    }


def test_usage_on_every_chunk_is_told_even_while_text_is_held() -> None:
    usage = TokenUsage(1, 1, 2)
    held, ended, _ = through(REDACTING, [chunk(Delta(content="pass"), usage=usage), chunk(None, "stop", usage=usage)])
    assert [(c.usage, c.choices[0].delta) for c in held] == [(usage, Delta())]
    assert [(c.usage, c.choices[0].delta.content) for c in ended] == [(None, "pass"), (usage, None)]


def test_a_redaction_over_a_chunk_split() -> None:
    out = flat(through(REDACTING, stream_of(["my pass", "wo", "rd", " is x"])))
    assert assemble(out).choices[0].message.content == "my [FILTERED] is x"


def test_a_block_ends_the_choice_before_the_span() -> None:
    stream = AnswerStream(BLOCKING, chat("x"))
    out = [
        c
        for piece in stream_of(["Certainly, my friend: the pass", "word is", " 1234", "5 and more"])
        for c in stream.feed(piece)
    ]
    assert assemble(out).choices[0].message.content == "Certainly, my friend: the "
    assert shape(out)[-1] == (None, None, "content_filter")
    assert stream.blocked
    assert stream.finish() == []
    inspection = stream.inspection()
    assert (inspection.verdict, inspection.findings[0].span) == ("block", (26, 34))
    assert inspection.text == "Certainly, my friend: the "


def test_choices_are_held_and_blocked_apart() -> None:
    stream = AnswerStream(BLOCKING, chat("x", n=2))
    first = stream.feed(chunk(Delta(content="sudo " + "x" * 40), index=0))
    assert [choice.finish_reason for c in first for choice in c.choices] == ["content_filter"]
    assert not stream.blocked
    out = [*first, *stream.feed(chunk(Delta(content="fine"), index=1)), *stream.feed(chunk(None, "stop", index=1))]
    choices = assemble(out).choices
    assert [(choice.message.content, choice.finish_reason) for choice in choices] == [
        (None, "content_filter"),
        ("fine", "stop"),
    ]


def test_refusals_are_guarded_too() -> None:
    out = flat(through(REDACTING, [chunk(Delta(refusal="no su")), chunk(Delta(refusal="do!")), chunk(None, "stop")]))
    assert assemble(out).choices[0].message.refusal == "no [FILTERED]!"


def test_tool_calls_leave_whole_and_valid() -> None:
    calls = [
        call_delta(0, "lookup", "", "call_a"),
        call_delta(0, None, '{"q": "s\\u00'),
        call_delta(1, "send", "{}", "call_b"),
        call_delta(0, None, '75do"}'),
    ]
    groups = through(REDACTING, stream_of(["Let me see."], calls=calls, finish_reason="tool_calls"), CALLING)
    assert [len(group) for group in groups] == [1, 0, 0, 0, 0, 0, 2, 0]
    completion = assemble(flat(groups))
    message = completion.choices[0].message
    assert message.content == "Let me see."
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("call_a", "lookup", '{"q": "[FILTERED]"}'),
        ("call_b", "send", "{}"),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (call_delta(0, "rm", "{}", "1"), "undeclared_tool"),
        (call_delta(0, "lookup", "{", "1"), "invalid_tool_arguments"),
    ],
)
def test_tool_calls_that_may_not_be_never_leave(call: ToolCallDelta, kind: str) -> None:
    stream = AnswerStream(DEFAULT, CALLING)
    out = [c for piece in stream_of(["Wait."], calls=[call], finish_reason="tool_calls") for c in stream.feed(piece)]
    completion = assemble(out)
    assert completion.choices[0].message.content == "Wait."
    assert completion.choices[0].message.tool_calls is UNSET
    assert completion.choices[0].finish_reason == "content_filter"
    inspection = stream.inspection()
    assert [finding.kind for finding in inspection.findings] == [kind]
    assert inspection.completion == completion


def test_tool_calls_are_not_held_where_nothing_acts() -> None:
    watching = guarded(**NO_FORM_GUARD_ACTS)
    call = call_delta(0, "rm", '{"a\x00', "1")
    stream = AnswerStream(watching, CALLING)
    (out,) = stream.feed(chunk(Delta(tool_calls=[call])))
    assert out.choices[0].delta.tool_calls == [call_delta(0, "rm", '{"a', "1")]
    stream.feed(chunk(None, "tool_calls"))
    assert [f.kind for f in stream.inspection().findings] == ["undeclared_tool", "invalid_tool_arguments"]


def test_json_is_held_until_it_is_valid() -> None:
    stream = AnswerStream(DEFAULT, JSON)
    assert stream.hold_back == "whole"
    groups = [stream.feed(piece) for piece in stream_of(['{"a"', ": 1}"])]
    assert [shape(group) for group in groups] == [
        [("assistant", "", None)],
        [],
        [],
        [(None, '{"a": 1}', None), (None, None, "stop")],
    ]


def test_what_is_not_json_never_leaves() -> None:
    out = flat(through(DEFAULT, stream_of(["Sure! ", "{}"]), JSON))
    assert shape(out) == [("assistant", "", None), (None, None, "content_filter")]


def test_json_that_is_cut_short_leaves_with_its_reason() -> None:
    out = flat(through(DEFAULT, stream_of(['{"a": '], finish_reason="length"), JSON))
    assert shape(out)[1:] == [(None, '{"a": ', None), (None, None, "length")]


def test_hold_back_is_the_longest_reach_of_the_guards_that_act() -> None:
    assert AnswerStream(DEFAULT, chat("x")).hold_back == 0
    assert AnswerStream(Pipeline(Guards()), chat("x")).hold_back == 8704
    assert AnswerStream(REDACTING, chat("x")).hold_back == 19
    assert AnswerStream(suspicious("redact", **NO_FORM_GUARD_ACTS), JSON).hold_back == "whole"
    assert AnswerStream(guarded(**NO_FORM_GUARD_ACTS), JSON).hold_back == 0


def test_a_guard_that_judges_the_whole_holds_the_whole() -> None:
    armed = REDACTING.guards("output")[0]
    guard = armed.guard
    assert guard is not None
    guard.reach, bound = Reach(None), guard.reach
    try:
        assert bound == bounded(19)
        groups = through(REDACTING, stream_of(["my ", "password"]))
        assert [len(group) for group in groups] == [1, 0, 0, 2, 0]
    finally:
        guard.reach = bound


def test_control_characters_never_leave() -> None:
    out = flat(through(DEFAULT, stream_of(["a\x00", "\x85", "\r\nb\t"])))
    assert assemble(out).choices[0].message.content == "a\nb\t"


def test_an_answer_that_grows_too_long_is_ended() -> None:
    short = guarded(sizes=SizeLimits(answer_characters=10))
    stream = AnswerStream(short, chat("x"))
    out = [c for piece in stream_of(["12345", "67890", "1", "2"]) for c in stream.feed(piece)]
    assert assemble(out).choices[0].message.content == "1234567890"
    assert shape(out)[-1] == (None, None, "content_filter")
    assert [finding.kind for finding in stream.inspection().findings] == ["answer_too_large"]


def test_a_stream_that_breaks_off_lets_go_what_is_safe() -> None:
    groups = through(REDACTING, [chunk(Delta(role="assistant", content="my sudo"))])
    assert shape(flat(groups)) == [("assistant", None, None), (None, "my [FILTERED]", None)]


def test_a_broken_stream_is_reported_as_far_as_it_came() -> None:
    stream = AnswerStream(REDACTING, chat("x"))
    stream.feed(chunk(Delta(content="the root of " + "x" * 40)))
    inspection = stream.inspection()
    assert inspection.completion.choices[0].message.content == "the [FILTERED] of " + "x" * 21
    assert [(run.guard, run.status, run.bytes_seen) for run in inspection.runs] == [
        ("suspicious", "ran", 52),
        ("secrets", "skipped", 0),
        ("pii", "skipped", 0),
        ("links", "skipped", 0),
        ("markup", "skipped", 0),
        ("canary", "skipped", 0),
        ("prompt_leak", "skipped", 0),
        ("topics", "skipped", 0),
        ("grounding", "ran", 52),
        ("moderation", "skipped", 0),
        ("model_armor", "skipped", 0),
        ("output", "ran", 52),
        ("schema", "ran", 52),
        ("tools", "ran", 52),
        ("harm", "ran", 52),
    ]
    assert inspection.bytes_forwarded == len("the ") + len(" of ") + 21


def test_a_stream_of_nothing() -> None:
    stream = AnswerStream(DEFAULT, chat("x"))
    assert stream.finish() == []
    inspection = stream.inspection()
    assert (inspection.verdict, inspection.text, inspection.completion.choices) == ("allow", "", [])
    assert not stream.blocked


class Breaking:
    """A guard that fails at a certain word."""

    name = "breaking"
    directions = frozenset({"output"})
    reach = bounded(8)

    def clears(self, joined: str) -> bool:
        if "BOOM" in joined:
            raise RuntimeError("no text here")
        return True

    def inspect(self, text: Any, context: Any) -> list[Any]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("rule", "content", "finish_reason", "status"),
    [
        (GuardRule(action="block"), "0123456789ab", "content_filter", "failed_closed"),
        (GuardRule(action="flag"), "0123456789abcdefghijBOOM and on", "content_filter", "failed_closed"),
        (GuardRule(action="block", fail="open"), "0123456789abcdefghijBOOM and on", "stop", "failed_open"),
        (GuardRule(action="block", mode="monitor"), "0123456789abcdefghijBOOM and on", "stop", "failed_open"),
    ],
)
def test_a_guard_that_fails_in_mid_stream(rule: GuardRule, content: str, finish_reason: str, status: str) -> None:
    armed = Armed("breaking", rule, Breaking.directions, Breaking())
    stream = AnswerStream(Pipeline(Guards(), [armed]), chat("x"))
    out = [c for piece in stream_of(["0123456789", "abcdefghij", "BOOM", " and on"]) for c in stream.feed(piece)]
    choice = assemble(out).choices[0]
    assert (choice.message.content, choice.finish_reason) == (content, finish_reason)
    inspection = stream.inspection()
    assert inspection.runs[0].status == status
    assert inspection.verdict == ("block" if status == "failed_closed" else "allow")


def test_stream_and_plain_answer_have_one_digest() -> None:
    calls = [call_delta(0, "lookup", "", "call_0"), call_delta(0, None, '{"a": 1}')]
    streamed = AnswerStream(DEFAULT, CALLING)
    for piece in stream_of(["He", "y"], calls=calls, finish_reason="tool_calls"):
        streamed.feed(piece)
    plain = answer("Hey", calls=[("lookup", '{"a": 1}')], finish_reason="tool_calls")
    assert answer_digest(streamed.completion) == answer_digest(plain)


def test_guards_together_hold_back_what_each_of_them_needs() -> None:
    words = growing(lambda text: text.rfind(" ") + 1, context=4, most=99)
    both = together([bounded(3), words])
    assert (both.characters, both.most) == (4, 99)
    assert [both.undecided(text) for text in ("", "ab", "ab cdefg", "ab cdefg h")] == [0, 0, 3, 7]
    assert together([bounded(3), bounded(7)]) == bounded(7)
    assert together([words, Reach(None)]).characters is None
