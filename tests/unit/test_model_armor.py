"""Model Armor: what is asked, how it is read, and what its failures mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import modelarmor_v1
from google.cloud.modelarmor_v1.services.model_armor.transports.rest import ModelArmorRestTransport
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError, StoreUnavailable
from shared.guards.holdback import HeldText
from shared.guards.inspection import Armed
from shared.guards.model_armor import ModelArmorGuard, _pieces
from shared.guards.pipeline import Pipeline
from shared.guards.stream import AnswerStream
from shared.models.model_armor import Match, ModelArmor
from shared.models.wire import ChatChunk, ChatRequest, ChunkChoice, Delta, ToolMessage, UserMessage
from shared.policy.load import load_policy
from shared.policy.types import Guards, ModelArmorRule
from shared.stores.secrets import Secret
from tests.support.model_armor_server import TEMPLATE, ModelArmorServer

OFF = {"injection": {"mode": "off"}, "suspicious": {"mode": "off"}}


class Tokens:
    def get(self, *, fresh: bool = False) -> Secret:
        return Secret(b"fresh" if fresh else b"kept")


@pytest.fixture
def server() -> Iterator[ModelArmorServer]:
    with ModelArmorServer() as running:
        yield running


def armor(server: ModelArmorServer) -> ModelArmor:
    return ModelArmor(TEMPLATE, base_url=server.origin, token=Tokens())


def pipeline(server: ModelArmorServer, **rule: object) -> Pipeline:
    armed = ModelArmorRule(**{"mode": "enforce", "template": TEMPLATE, "deadline_ms": 2000, **rule})  # type: ignore[arg-type]
    guard = ModelArmorGuard(armed, armor(server))
    return Pipeline(Guards(), [Armed("model_armor", armed, guard.directions, guard)])


def test_a_prompt_and_an_answer_are_screened_as_what_they_are(server: ModelArmorServer) -> None:
    guards = pipeline(server)
    assert guards.inspect_text("hello", "input").verdict == "allow"
    assert guards.inspect_text("hello", "output").verdict == "allow"
    assert server.asked == [("userPromptData", "hello"), ("modelResponseData", "hello")]
    assert server.tokens == ["Bearer kept"] * 2


def test_what_its_filters_find_are_findings(server: ModelArmorServer) -> None:
    found = pipeline(server).inspect_text("INJECT my SSN", "input")
    assert found.verdict == "block"
    told = {(each.kind, each.score, each.owasp, each.span) for each in found.findings}
    assert told == {
        ("pi_and_jailbreak", 0.95, "LLM01:2023/LLM01:2025", (0, 13)),
        ("sdp", 0.9, "LLM06:2023/LLM02:2025", (0, 13)),
    }


def test_the_official_client_reads_the_same_of_the_server(server: ModelArmorServer) -> None:
    transport = ModelArmorRestTransport(host=server.host, credentials=AnonymousCredentials(), url_scheme="http")
    client = modelarmor_v1.ModelArmorClient(transport=transport)
    text = modelarmor_v1.DataItem(text="INJECT my SSN")
    asked = modelarmor_v1.SanitizeUserPromptRequest(name=TEMPLATE, user_prompt_data=text)
    result = client.sanitize_user_prompt(request=asked).sanitization_result
    assert result.invocation_result == modelarmor_v1.InvocationResult.SUCCESS
    injection = result.filter_results["pi_and_jailbreak"].pi_and_jailbreak_filter_result
    assert injection.match_state == modelarmor_v1.FilterMatchState.MATCH_FOUND
    ours = armor(server).screen_prompt("INJECT my SSN", time.monotonic() + 10)
    assert ours.whole
    assert ours.matches == (Match("pi_and_jailbreak", "HIGH"), Match("sdp", None))
    answer = modelarmor_v1.SanitizeModelResponseRequest(name=TEMPLATE, model_response_data=text)
    assert client.sanitize_model_response(request=answer).sanitization_result.filter_match_state == 2
    assert [member for member, _ in server.asked] == ["userPromptData"] * 2 + ["modelResponseData"]


def test_a_conversation_goes_in_few_requests_and_the_finding_names_a_part(server: ModelArmorServer) -> None:
    asked = ChatRequest(
        model="default",
        messages=[UserMessage(content="a" * 150), ToolMessage(content="INJECT" + "b" * 120, tool_call_id="call_1")],
    )
    found = pipeline(server, chunk_characters=200).inspect_request(asked)
    assert len(server.asked) == 2
    assert [finding.part for finding in found.findings] == ["messages[1].content"]
    assert found.verdict == "block"


def test_a_long_text_is_cut_with_an_overlap(server: ModelArmorServer) -> None:
    text = "x" * 390 + "INJECT" + "y" * 400
    found = pipeline(server, chunk_characters=200).inspect_text(text, "input")
    assert all(len(sent) <= 200 for _, sent in server.asked)
    assert found.findings
    assert all(text[slice(*finding.span)].count("INJECT") == 1 for finding in found.findings)


@pytest.mark.parametrize("fail", ["closed", "open"])
@pytest.mark.parametrize("fault", ["status", "not JSON", "silence", "partial", "gone", "no result"])
def test_each_failure_is_the_fail_mode_s_business(server: ModelArmorServer, fault: str, fail: str) -> None:
    guards = pipeline(server, fail=fail, deadline_ms=200)
    match fault:
        case "status":
            server.status = 429
        case "not JSON":
            server.body = b"<html>"
        case "no result":
            server.body = b"{}"
        case "silence":
            server.silence = 0.6
        case "partial":
            server.invocation = "PARTIAL"
        case "gone":
            guards = pipeline(server, fail=fail, deadline_ms=200)
            server._server.socket.close()
    found = guards.inspect_text("hello", "input")
    assert found.verdict == ("block" if fail == "closed" else "allow")
    run = found.runs[0]
    assert (run.status, run.bytes_seen) == (f"failed_{fail}", 0)
    assert found.faults == {"model_armor": "StoreUnavailable"}


def test_a_match_counts_though_another_filter_did_not_run(server: ModelArmorServer) -> None:
    server.invocation = "PARTIAL"
    assert pipeline(server, fail="open").inspect_text("INJECT", "input").verdict == "block"


def test_a_token_that_was_revoked_is_replaced_once(server: ModelArmorServer) -> None:
    server.refused_token = "Bearer kept"
    assert pipeline(server).inspect_text("hello", "input").verdict == "allow"
    server.refused_token = "Bearer fresh"
    server.status = 403
    with pytest.raises(StoreUnavailable, match="status 4"):
        armor(server).screen_prompt("hello", time.monotonic() + 10)


def test_a_stream_waits_for_it(server: ModelArmorServer) -> None:
    stream = AnswerStream(pipeline(server), ChatRequest(model="default", messages=[UserMessage(content="hi")]))
    assert stream.hold_back == "whole"
    chunk = ChatChunk(id="c", created=0, model="m", choices=[ChunkChoice(0, Delta(content="INJ"))])
    assert stream.feed(chunk) == []
    sent = stream.feed(ChatChunk(id="c", created=0, model="m", choices=[ChunkChoice(0, Delta(content="ECT"), "stop")]))
    assert "INJECT" not in str(sent)
    assert stream.completion.choices[0].finish_reason == "content_filter"


@given(st.lists(st.text("ab \n", max_size=1000), max_size=8), st.integers(200, 400))
def test_pieces_hold_every_character_and_are_short(texts: list[str], most: int) -> None:
    pieces = list(_pieces(texts, most))
    assert all(len(piece.text) <= most for piece in pieces)
    sent = "\x00".join(piece.text for piece in pieces)
    for index, text in enumerate(texts):
        if not text.strip():
            continue
        if len(text) <= most:
            assert text in sent
            continue
        spans = [piece.span for piece in pieces if piece.part == index and piece.span != (0, len(text))]
        assert spans[0][0] == 0
        assert spans[-1][1] == len(text)
        assert all(after[0] < before[1] for before, after in pairwise(spans))


def test_a_policy_must_name_a_template(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("guards: {model_armor: {mode: monitor}}\ntenants: {acme: {guards: {model_armor: {mode: enforce}}}}")
    with pytest.raises(ConfigurationError) as raised:
        load_policy(path)
    assert [fault.path.partition(": ")[2] for fault in raised.value.faults] == [
        "guards.model_armor.template",
        "tenants.acme.guards.model_armor.template",
    ]
    path.write_text(
        f"guards: {{model_armor: {{template: {TEMPLATE}}}}}\n"
        "tenants: {acme: {guards: {model_armor: {mode: enforce}}}}"
    )
    assert load_policy(path).file.tenants["acme"].guards.model_armor.template == TEMPLATE


def test_a_held_text_asks_once() -> None:
    looks: list[str] = []

    def look(part: object) -> list[object]:
        looks.append("looked")
        return []

    held = HeldText("choices[0].message.content", "prose", ModelArmorGuard.reach, look)  # type: ignore[arg-type]
    for fragment in ("a", "b", "c"):
        assert held.add(fragment) == ""
    assert held.finish() == "abc"
    assert looks == ["looked"]
