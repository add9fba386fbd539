"""However a stream is split, the client sees what the whole answer would have become."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.guards.answer import assemble
from shared.guards.inspection import Armed
from shared.guards.patterns import PatternGuard, Rule
from shared.guards.pipeline import Pipeline
from shared.guards.port import Finding
from shared.guards.redaction import rewrite
from shared.guards.stream import AnswerStream
from shared.models.wire import ChatCompletion, ChatRequest
from shared.policy.types import GuardRule, Guards, SuspiciousRule
from shared.text.canonical import canonicalise
from tests.support.chats import answer, call_delta, chat, stream_of, tool
from tests.support.policies import NO_TEXT_GUARD_ACTS


def armed(name: str, action: str, rules: list[tuple[str, int]]) -> Armed:
    written = [Rule(f"{name}{i}", f"{name}{i}", "-", pattern, width, 0.5) for i, (pattern, width) in enumerate(rules)]
    guard = PatternGuard(name, written, frozenset({"output"}), action, enforced=True)
    return Armed(name, GuardRule(action=action), guard.directions, guard)


CUTS = armed("cuts", "redact", [(r"\bab\b", 2), ("b.{0,3}a", 5), ("aa", 2), (r"(?:^|[^a-z])(é{1,2}c?)(?:$|[^a-z])", 5)])
STOPS = armed("stops", "block", [("c a?c", 4), (r"\bbcb\b", 3)])
WATCHES = armed("watches", "flag", [("c", 1), (r"é\b", 1)])
CUTTING = Pipeline(Guards(), [CUTS, WATCHES])
STOPPING = Pipeline(Guards(), [CUTS, STOPS])
SHIPPED = Pipeline(Guards(**NO_TEXT_GUARD_ACTS, suspicious=SuspiciousRule(action="redact")))

LETTERS = st.text(st.sampled_from("aaabbcé \n\x00\r-\u200b\u200d\ufe0f❤"), max_size=40)
WORDS = st.lists(
    st.sampled_from(["root", "my_password", "sudo", " ", ", ", "x", "ü", "\x00", "hack", "hackathon", "-"]), max_size=12
).map("".join)


@st.composite
def split(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """A text in pieces, empty ones too."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def streamed(pipeline: Pipeline, pieces: list[str], request: ChatRequest) -> tuple[list[str], AnswerStream]:
    """What the client has seen after each chunk."""
    stream = AnswerStream(pipeline, request)
    sent, seen = [], []
    for chunk in stream_of(pieces):
        sent += stream.feed(chunk)
        seen.append(content(assemble(sent)))
    assert stream.finish() == []
    return seen, stream


def content(completion: ChatCompletion) -> str:
    return "".join(choice.message.content or "" for choice in completion.choices)


@settings(max_examples=300)
@given(split(LETTERS))
@example(["aa", "a"])
@example(["-é", "éc", "-"])
@example(["baaca", " b"])
@example(["b\x00", "\x00a", "b a"])
def test_redacted_streams_are_the_redacted_whole(pieces: list[str]) -> None:
    request = chat("x")
    whole = CUTTING.inspect_answer(answer("".join(pieces)), request)
    seen, stream = streamed(CUTTING, pieces, request)
    for shown in seen:
        assert content(whole.completion).startswith(shown)
    assert seen[-1] == content(whole.completion)
    inspection = stream.inspection()
    assert inspection.findings == whole.findings
    assert (inspection.runs, inspection.verdict, inspection.text) == (whole.runs, whole.verdict, whole.text)


@settings(max_examples=300)
@given(split(LETTERS))
@example(["c", " c", "x"])
def test_blocked_streams_stop_before_the_blocked_span(pieces: list[str]) -> None:
    request, text = chat("x"), "".join(pieces)
    findings = STOPPING.inspect_answer(answer(text), request).findings
    stops = [finding.span[0] for finding in findings if finding.action == "block"]
    seen, stream = streamed(STOPPING, pieces, request)
    assert seen[-1] == expected(text, findings, min(stops, default=len(text)))
    for shown in seen:
        assert seen[-1].startswith(shown)
    assert stream.blocked is bool(stops)
    assert stream.completion.choices[0].finish_reason == ("content_filter" if stops else "stop")


def expected(text: str, findings: tuple[Finding, ...], end: int) -> str:
    """``text`` up to ``end``, with the cuts that begin before it."""
    cuts = [replace(f, span=(f.span[0], min(f.span[1], end))) for f in findings if f.span[0] < end]
    return rewrite(canonicalise(text[:end]), "prose", [f for f in cuts if f.action == "redact"], None).text


@settings(max_examples=100)
@given(split(WORDS))
def test_the_shipped_terms_stream_as_the_whole(pieces: list[str]) -> None:
    whole = SHIPPED.inspect_answer(answer("".join(pieces)), chat("x"))
    seen, stream = streamed(SHIPPED, pieces, chat("x"))
    assert seen[-1] == content(whole.completion)
    assert stream.inspection().findings == whole.findings


@settings(max_examples=100)
@given(split(WORDS.map(lambda text: json.dumps({"a": text, "b": [1, text]}))), st.booleans())
def test_streamed_tool_calls_are_the_whole_ones(pieces: list[str], declared: bool) -> None:
    request = chat("x", tools=[tool("f" if declared else "g")])
    whole = SHIPPED.inspect_answer(answer(None, calls=[("f", "".join(pieces))]), request)
    stream = AnswerStream(SHIPPED, request)
    calls = [call_delta(0, "f", "", "call_0"), *(call_delta(0, None, piece) for piece in pieces)]
    sent = [chunk for piece in stream_of([], calls=calls) for chunk in stream.feed(piece)]
    assert [c.message.tool_calls or None for c in assemble(sent).choices] == [
        c.message.tool_calls or None for c in whole.completion.choices
    ]
    assert stream.inspection().findings == whole.findings
    assert stream.blocked is not declared
