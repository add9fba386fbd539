"""However a stream is split, secrets stay in and placeholders come out as in the whole answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.guards.answer import assemble
from shared.guards.masking import Masks
from shared.guards.pii import RULES as PII_RULES
from shared.guards.pii import tail as pii_tail
from shared.guards.pipeline import Pipeline
from shared.guards.port import SEPARATOR, Background
from shared.guards.secret_rules import MOST, MOST_KEY
from shared.guards.secret_rules import RULES as SECRET_RULES
from shared.guards.secrets import tail as secrets_tail
from shared.guards.stream import AnswerStream
from shared.guards.unmasking import Unmasker, unmask
from shared.models.wire import ChatCompletion, ChatRequest
from shared.policy.types import Guards, LinksRule, MarkupRule, PiiRule, SecretsRule, Unmasking
from tests.support.chats import answer, call_delta, chat, stream_of, tool

EXAMPLES = [text for rule in (*SECRET_RULES, *PII_RULES) for text in (*rule.matches, *rule.passes)]
OTHERS = {"links": LinksRule(mode="off"), "markup": MarkupRule(mode="off")}
HIDING = Pipeline(Guards(**OTHERS, secrets=SecretsRule(answers="redact"), pii=PiiRule(answers="redact")))
ALL = Pipeline(Guards())
STOPPING = Pipeline(Guards(**OTHERS, secrets=SecretsRule(answers="block"), pii=PiiRule(answers="flag")))
TOLD = Pipeline(Guards(**OTHERS, unmask=Unmasking(tool_arguments=True)))

FILLERS = st.sampled_from(
    [" ", "\n", ", ", "é", "的", "x", "AB ", "12 ", "-", "+", "the ", ".", '"', "-----", "BEGIN", "\x00"]
)
PIECES = st.sampled_from(
    [*EXAMPLES, *(text[: len(text) // 2] for text in EXAMPLES), *(text[len(text) // 2 :] for text in EXAMPLES)]
)
TEXTS = st.lists(st.one_of(PIECES, FILLERS), max_size=8).map("".join)


@st.composite
def split(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """A text in pieces, empty ones too; often in single characters around a place."""
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=8))
    if draw(st.booleans()):
        near = draw(st.integers(0, len(text)))
        cuts += range(near, min(near + 40, len(text)))
    cuts = sorted(cuts)
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def streamed(
    pipeline: Pipeline, pieces: list[str], request: ChatRequest, masks: Masks | None = None
) -> tuple[list[str], AnswerStream]:
    """What the client has seen after each chunk."""
    stream = AnswerStream(pipeline, request, Background(request, masks=masks))
    sent, seen = [], []
    for chunk in stream_of(pieces):
        sent += stream.feed(chunk)
        seen.append(content(assemble(sent)))
    return seen, stream


def content(completion: ChatCompletion) -> str:
    return "".join(choice.message.content or "" for choice in completion.choices)


@settings(max_examples=150, deadline=None)
@given(split(TEXTS))
def test_what_is_redacted_never_leaves_and_the_rest_is_the_redacted_whole(pieces: list[str]) -> None:
    request = chat("x")
    whole = HIDING.inspect_answer(answer("".join(pieces)), request)
    seen, stream = streamed(HIDING, pieces, request)
    for shown in seen:
        assert content(whole.completion).startswith(shown)
    assert seen[-1] == content(whole.completion)
    inspection = stream.inspection()
    assert inspection.findings == whole.findings
    assert (inspection.runs, inspection.verdict, inspection.text) == (whole.runs, whole.verdict, whole.text)
    assert (inspection.bytes_forwarded, inspection.kept) == (whole.bytes_forwarded, whole.kept)


@pytest.mark.parametrize("before", ["", "So: ", "12 AB 3"])
def test_every_example_is_cut_letter_by_letter_as_in_the_whole(before: str) -> None:
    request = chat("x")
    for text in EXAMPLES:
        written = f"{before}{text} and so on, +1 "
        whole = content(HIDING.inspect_answer(answer(written), request).completion)
        seen, _ = streamed(HIDING, list(written), request)
        assert seen[-1] == whole, text
        assert all(whole.startswith(shown) for shown in seen), text


@settings(max_examples=80, deadline=None)
@given(split(TEXTS))
def test_no_byte_of_a_blocked_secret_leaves(pieces: list[str]) -> None:
    request, text = chat("x"), "".join(pieces)
    findings = STOPPING.inspect_answer(answer(text), request).findings
    stops = [finding.span[0] for finding in findings if finding.action == "block"]
    seen, stream = streamed(STOPPING, pieces, request)
    assert seen[-1] == text[: min(stops, default=len(text))].replace("\x00", "")
    assert stream.blocked is bool(stops)
    inspection = stream.inspection()
    assert inspection.bytes_forwarded == len(seen[-1].encode())
    assert all(run.bytes_seen >= inspection.bytes_forwarded for run in inspection.runs if run.status == "ran")


@settings(max_examples=200, deadline=None)
@given(split(st.lists(st.one_of(FILLERS, PIECES), max_size=6).map("".join)))
def test_what_is_held_back_begins_later_and_later(pieces: list[str]) -> None:
    for tail in (secrets_tail, pii_tail):
        text, before = "", 0
        for piece in pieces:
            text += piece
            assert before <= tail(text) <= len(text)
            before = tail(text)


def test_what_is_held_back_is_bounded() -> None:
    assert secrets_tail("x" * 10_000) == 10_000 - MOST
    key = "-----BEGIN PRIVATE KEY-----\n"
    assert secrets_tail("So: " + key + "QUJD" * 100) == 4
    assert secrets_tail("So: " + key + ("QUJD" * 16 + "\n") * 200) >= 4 + len(key) + 200 * 65 - MOST_KEY
    assert secrets_tail("Nothing here but words") == len("Nothing here but ")
    assert pii_tail("Call +49 30 90") == 5
    assert pii_tail("In 2024 we") == 8


# --- masking --------------------------------------------------------------------------------------

MASKS = Masks("")
MAIL = MASKS.placeholder("email", "ann@corp.com")
CARD = MASKS.placeholder("card", "4111 1111 1111 1111")
PASSWORD = MASKS.placeholder("password", 'p"](x)<y>')
AROUND = st.sampled_from(
    [
        MAIL,
        CARD,
        PASSWORD,
        MAIL[:7],
        MAIL[7:],
        " ",
        "\n",
        "\n\n",
        ". ",
        ", ",
        "](",
        ")",
        "<a href=",
        '"',
        "'",
        ">",
        "<",
        "[",
        "x",
        "http://evil/?q=",
        "www.",
        ".evil.com",
        "@",
        ":",
        "的",
        "。",
        "(",
        "<script>",
        "- ",
        "mailto:",
        "_",
        "E",
        "/",
    ]
)
ANSWERS = st.lists(AROUND, max_size=10).map("".join)


@settings(max_examples=200, deadline=None)
@given(split(ANSWERS), st.booleans())
@example([MAIL[:3], MAIL[3:]], False)
@example([MAIL + ".", "evil.com"], False)
@example(["](", MAIL, ")", MAIL], False)
def test_unmasking_does_not_depend_on_the_split(pieces: list[str], links: bool) -> None:
    whole = unmask("".join(pieces), MASKS, links=links)
    unmasker = Unmasker(MASKS, links=links)
    out = ""
    for piece in pieces:
        out += unmasker.add(piece)
        assert whole.startswith(out)
    assert out + unmasker.finish() == whole


@settings(max_examples=150, deadline=None)
@given(split(st.lists(st.one_of(AROUND, FILLERS, PIECES), max_size=8).map("".join)), st.sampled_from([HIDING, ALL]))
def test_streams_are_unmasked_as_the_whole(pieces: list[str], pipeline: Pipeline) -> None:
    request = chat("x")
    whole = pipeline.inspect_answer(answer("".join(pieces)), request, Background(request, masks=MASKS))
    seen, stream = streamed(pipeline, pieces, request, MASKS)
    for shown in seen:
        assert content(whole.completion).startswith(shown)
    assert seen[-1] == content(whole.completion)
    inspection = stream.inspection()
    assert (inspection.text, inspection.kept) == (whole.text, whole.kept)
    assert (inspection.runs, inspection.bytes_forwarded) == (whole.runs, whole.bytes_forwarded)


@settings(max_examples=50, deadline=None)
@given(split(ANSWERS.map(lambda text: json.dumps({"a": text, MAIL: [1, text]}))))
def test_answers_in_json_are_unmasked_as_the_whole(pieces: list[str]) -> None:
    request = chat("x", response_format={"type": "json_object"})
    whole = ALL.inspect_answer(answer("".join(pieces)), request, Background(request, masks=MASKS))
    seen, stream = streamed(ALL, pieces, request, MASKS)
    assert set(seen[:-1]) <= {""}
    assert seen[-1] == content(whole.completion)
    assert stream.inspection().kept == whole.kept
    if seen[-1]:
        assert MAIL in json.loads(seen[-1])


@settings(max_examples=80, deadline=None)
@given(split(ANSWERS.map(lambda text: json.dumps({"a": text, "b": [1, text]}))), st.booleans())
def test_arguments_of_tool_calls_are_unmasked_where_the_policy_says_so(pieces: list[str], told: bool) -> None:
    pipeline, request = TOLD if told else HIDING, chat("x", tools=[tool("f")])
    whole = pipeline.inspect_answer(
        answer(None, calls=[("f", "".join(pieces))]), request, Background(request, masks=MASKS)
    )
    stream = AnswerStream(pipeline, request, Background(request, masks=MASKS))
    calls = [call_delta(0, "f", "", "call_0"), *(call_delta(0, None, piece) for piece in pieces)]
    sent = [chunk for piece in stream_of([], calls=calls) for chunk in stream.feed(piece)]
    assert [c.message.tool_calls or None for c in assemble(sent).choices] == [
        c.message.tool_calls or None for c in whole.completion.choices
    ]
    if not told:
        assert "ann@corp.com" not in whole.text
    assert SEPARATOR not in content(whole.completion)
