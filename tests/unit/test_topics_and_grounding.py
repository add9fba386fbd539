"""Denied topics, the provider's filter, moderation by a server, and what the conversation does not hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.errors import ConfigurationError
from shared.guards.answer import assemble
from shared.guards.pipeline import Pipeline
from shared.guards.stream import AnswerStream
from shared.models.upstreams.answers import Answer, ChunkReader, completion_of
from shared.policy.types import GroundingRule, Guards, HarmRule, ModerationRule, Topic, TopicsRule
from tests.support.chats import answer, chat, chunk, stream_of
from tests.support.moderation_server import ModerationServer
from tests.support.policies import NO_TEXT_GUARD_ACTS

TOPICS = [
    Topic(name="medical", phrases=["side effects of", "dosage"], denied_in=["input"]),
    Topic(name="rivals", phrases=["Initech"], denied_in=["output"]),
    Topic(name="crime", phrases=["взлом сейфа"]),
]


def kinds(inspection: Any, guard: str) -> list[str]:
    assert not inspection.faults
    return [finding.kind for finding in inspection.findings if finding.guard == guard]


@pytest.mark.parametrize(
    ("text", "way", "found"),
    [
        ("What are the SIDE  EFFECTS\nof it?", "input", ["medical"]),
        ("dosage, dosages", "input", ["medical"]),
        ("the dosage", "output", []),
        ("the d\u200bos\u00adage", "input", ["medical"]),
        ("the \uff44\uff4f\uff53\uff41\uff47\uff45", "input", ["medical"]),
        ("do this: dGVsbCBtZSB0aGUgZG9zYWdlIHBsZWFzZQ==", "input", ["medical"]),
        ("Initech's", "output", ["rivals"]),
        ("Initech", "input", []),
        ("reinitech", "output", []),
        ("Про ВЗЛОМ сейфа.", "input", ["crime"]),
        ("Про взлом сейфа.", "output", ["crime"]),
        ("взлом сейфами", "output", []),
    ],
)
def test_topics_are_denied_where_the_policy_says(text: str, way: Any, found: list[str]) -> None:
    pipeline = Pipeline(Guards(**NO_TEXT_GUARD_ACTS, topics=TopicsRule(topics=TOPICS)))
    inspection = pipeline.inspect_text(text, way)
    assert kinds(inspection, "topics") == found
    assert inspection.verdict == ("block" if found else "allow")


def test_without_topics_the_guard_does_not_run() -> None:
    runs = {run.guard: run.status for run in Pipeline(Guards()).inspect_text("x", "output").runs}
    assert runs["topics"] == "skipped"


@pytest.mark.parametrize("size", [1, 3, 50])
def test_topics_in_streams(size: int) -> None:
    pipeline = Pipeline(Guards(**NO_TEXT_GUARD_ACTS, topics=TopicsRule(topics=TOPICS, action="redact")))
    text = "You may ask Initech about взлом  сейфа today"
    stream = AnswerStream(pipeline, chat("x"))
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    sent = [out for piece in stream_of(pieces) for out in stream.feed(piece)]
    assert assemble(sent).choices[0].message.content == "You may ask [FILTERED] about [FILTERED] today"


# --- the provider's filter ------------------------------------------------------------------------


def upstream(finish_reason: str, **more: Any) -> Answer:
    choice = {"index": 0, "finish_reason": finish_reason, **more}
    return msgspec.convert({"id": "x", "model": "m", "choices": [choice]}, Answer)


AZURE = {"hate": {"filtered": True, "severity": "high"}, "sexual": {"filtered": False}, "jailbreak": {"detected": True}}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"finish_reason": "stop"}, []),
        ({"finish_reason": "content_filter"}, ["provider_filter"]),
        ({"finish_reason": "content_filter: PROHIBITED_CONTENT"}, ["provider_prohibited"]),
        ({"finish_reason": "SAFETY"}, ["provider_safety"]),
        ({"finish_reason": "FINISH_REASON_SPII"}, ["provider_personal_data"]),
        ({"finish_reason": "content_filter", "content_filter_results": AZURE}, ["provider_hate", "provider_jailbreak"]),
        ({"finish_reason": "stop", "content_filter_results": {"x": {"filtered": True}, "hate": 1}}, []),
        ({"finish_reason": "stop", "content_filter_results": "nonsense"}, []),
    ],
)
def test_what_the_provider_says_is_told(said: dict[str, Any], found: list[str]) -> None:
    pipeline = Pipeline(Guards())
    whole = pipeline.inspect_answer(completion_of(upstream(**said, message={"content": "So it"}), 1), chat("x"))
    assert kinds(whole, "harm") == found
    assert whole.completion.choices[0].message.content == "So it"
    stream = AnswerStream(pipeline, chat("x"))
    made = ChunkReader(1).chunk_of(upstream(**said, delta={"content": "So it"}))
    assert made is not None
    ends = stream.feed(made)
    assert kinds(stream.inspection(), "harm") == found
    assert ends[-1].choices[0].filtered == whole.completion.choices[0].filtered


def test_what_the_provider_stopped_may_be_blocked_whole() -> None:
    pipeline = Pipeline(Guards(harm=HarmRule(action="block")))
    inspection = pipeline.inspect_answer(answer("So it", finish_reason="content_filter"), chat("x"))
    assert (inspection.verdict, inspection.completion.choices[0].message.content) == ("block", None)


# --- moderation by a server -----------------------------------------------------------------------


def moderated(server: ModerationServer, **rule: Any) -> Pipeline:
    return Pipeline(Guards(moderation=ModerationRule(mode="enforce", base_url=f"{server.origin}/v1", **rule)))


def test_a_server_judges_prompts_and_answers() -> None:
    with ModerationServer() as server:
        pipeline = moderated(server, model="m-1")
        asked = pipeline.inspect_request(chat("hello", "be VIOLENT"))
        assert [(f.kind, f.part, f.span) for f in asked.findings if f.guard == "moderation"] == [
            ("violence_graphic", "messages[1].content", (0, 10))
        ]
        assert asked.verdict == "block"
        assert server.asked == [{"path": "/v1/moderations", "model": "m-1", "input": ["hello", "be VIOLENT"]}]
        assert pipeline.inspect_answer(answer("fine"), chat("x")).verdict == "allow"
        assert AnswerStream(pipeline, chat("x")).hold_back == "whole"
        assert pipeline.inspect_text(" ", "input").verdict == "allow"
        assert len(server.asked) == 2


@pytest.mark.parametrize("fault", ["status", "not JSON", "too few", "silence"])
@pytest.mark.parametrize(("fail", "verdict"), [("closed", "block"), ("open", "allow")])
def test_a_server_that_fails_is_the_fail_mode_s_business(fault: str, fail: Any, verdict: str) -> None:
    with ModerationServer() as server:
        server.status = 500 if fault == "status" else 200
        server.silence = 0.4 if fault == "silence" else 0.0
        server.body = {"not JSON": b"<html>", "too few": b'{"results": []}'}.get(fault)
        inspection = moderated(server, fail=fail, deadline_ms=100).inspect_text("hello", "input")
        assert inspection.verdict == verdict
        assert inspection.faults == {"moderation": "StoreUnavailable"}


def test_a_guard_that_is_on_needs_a_server() -> None:
    with pytest.raises(ConfigurationError, match=r"guards\.moderation\.base_url"):
        Pipeline(Guards(moderation=ModerationRule(mode="enforce")))


# --- what the conversation does not hold ----------------------------------------------------------

GIVEN = chat("See https://docs.example/a and [1] Smith 2020, [doc2] Jones.")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("As in https://DOCS.example/a, it is [1] so [doc2].", []),
        ("As in https://docs.example/b.", ["ungrounded_link"]),
        ("It is so [3], [doc9].", ["ungrounded_citation"] * 2),
        ("a[7](x) and [8]: y", []),
        ("plain", []),
    ],
)
def test_links_and_citations_from_nowhere_are_flagged(text: str, found: list[str]) -> None:
    inspection = Pipeline(Guards(**NO_TEXT_GUARD_ACTS)).inspect_answer(answer(text), GIVEN)
    assert kinds(inspection, "grounding") == found
    assert inspection.completion.choices[0].message.content == text


def test_no_more_are_looked_for_than_are_told() -> None:
    many = " ".join(f"https://docs.example/{number}" for number in range(300))
    assert len(kinds(Pipeline(Guards(**NO_TEXT_GUARD_ACTS)).inspect_answer(answer(many), GIVEN), "grounding")) == 100


def test_citations_are_looked_for_only_where_there_are_some() -> None:
    assert kinds(Pipeline(Guards()).inspect_answer(answer("x[0] and [3]"), chat("index a list")), "grounding") == []
    off = Pipeline(Guards(grounding=GroundingRule(mode="off")))
    assert kinds(off.inspect_answer(answer("[3]"), GIVEN), "grounding") == []


def test_nothing_is_held_back_for_it() -> None:
    pipeline = Pipeline(Guards(**NO_TEXT_GUARD_ACTS))
    stream = AnswerStream(pipeline, GIVEN)
    (out,) = stream.feed(chunk(stream_of(["It is [3]"])[1].choices[0].delta))
    assert out.choices[0].delta.content == "It is [3]"
    stream.feed(chunk(finish_reason="stop"))
    assert kinds(stream.inspection(), "grounding") == ["ungrounded_citation"]
