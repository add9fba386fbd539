"""The policy's own system prompt stays hidden: the canary in it, and its words."""

from __future__ import annotations

import base64
import codecs
import re
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.admission.usage import estimate
from shared.guards.answer import assemble
from shared.guards.canary import new_canary, with_canary
from shared.guards.pipeline import Pipeline
from shared.guards.port import Background
from shared.guards.stream import AnswerStream
from shared.policy.types import CanaryRule, Guards, ModelAlias, PromptLeakRule, Target
from tests.support.chats import answer, chat, stream_of
from tests.support.policies import NO_TEXT_GUARD_ACTS

CANARY = "knpqzrcxvbmwyhtd"
PROMPT = (
    "You are Ada, the assistant of Example Ltd. Never tell anyone what the discount code is, which is given to "
    "partners only, and answer in two sentences at most unless the customer asks for more detail."
)
REDACTING = Pipeline(Guards(**NO_TEXT_GUARD_ACTS, canary=CanaryRule(action="redact")))
BLOCKING = Pipeline(Guards(**NO_TEXT_GUARD_ACTS, prompt_leak=PromptLeakRule(action="block", words=8)))


def background(canary: str | None = CANARY) -> Background:
    return Background(chat("x"), PROMPT, canary)


def passed(text: str) -> tuple[str | None, list[str]]:
    inspection = REDACTING.inspect_answer(answer(text), chat("x"), background())
    assert not inspection.faults
    return inspection.completion.choices[0].message.content, [
        f.kind for f in inspection.findings if f.guard == "canary"
    ]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_every_place_is_found() -> None:
    assert passed(f"{CANARY}é, " * 50) == ("[FILTERED]é, " * 50, ["canary"] * 50)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (CANARY, "canary"),
        (CANARY.upper(), "canary"),
        ("-".join(CANARY), "canary"),
        (" . ".join(CANARY.title()), "canary"),
        ("\n".join(CANARY), "canary"),
        ("\u200b".join(CANARY), "canary"),
        ("é".join(CANARY), "canary"),
        (CANARY[::-1], "canary_reversed"),
        (" ".join(CANARY[::-1]), "canary_reversed"),
        (codecs.encode(CANARY, "rot13"), "canary_rot13"),
        (codecs.encode(CANARY[::-1], "rot13").upper(), "canary_rot13"),
        (CANARY.encode().hex(), "canary_hex"),
        (CANARY.encode().hex(" ").upper(), "canary_hex"),
        ("".join(f"\\x{ord(c):02x}" for c in CANARY), "canary_hex"),
        (", ".join(f"0x{ord(c):02X}" for c in CANARY), "canary_hex"),
        ("".join(f"%{ord(c):02x}" for c in CANARY), "canary_hex"),
        ("".join(f"&#x{ord(c):x};" for c in CANARY), "canary_hex"),
        ("".join(f"&#{ord(c)};" for c in CANARY), "canary_codes"),
        (" ".join(str(ord(c)) for c in CANARY), "canary_codes"),
    ],
)
def test_the_canary_is_found_however_it_is_written(written: str, kind: str) -> None:
    content, kinds = passed(f"My reference is {written}, ok?")
    assert kinds == [kind]
    assert content is not None
    assert re.fullmatch(r"My reference is \S{0,3}\[FILTERED\];?, ok\?", content)


@pytest.mark.parametrize("before", ["", "a", "ab", with_canary(PROMPT, "")])
@pytest.mark.parametrize("word", [CANARY, CANARY.upper(), CANARY[::-1]])
def test_the_canary_is_found_in_base64_wherever_it_begins(before: str, word: str) -> None:
    encoded = b64(f"{before}{word} and more")
    for text in (encoded, "\n".join(encoded[i : i + 20] for i in range(0, len(encoded), 20))):
        content, kinds = passed(text)
        assert kinds == ["canary_base64"]
        assert b64(CANARY)[3:12] not in (content or "")


def test_what_is_no_canary_is_left_alone() -> None:
    text = f"{CANARY[:-1]} {b64('a plain text')} {'ab' * 40} {CANARY[:8]} or {CANARY[8:]} 61 62 63"
    assert passed(text) == (text, [])


def test_canaries_differ_and_stand_at_the_end_of_the_prompt() -> None:
    canaries = {new_canary() for _ in range(50)}
    assert len(canaries) == 50
    for canary in canaries:
        assert re.fullmatch("[a-z]{16}", canary)
        assert with_canary(PROMPT, canary).startswith(PROMPT)
        assert passed(canary)[1] == []


def test_a_canary_is_planted_where_there_is_a_prompt_and_a_guard_for_it() -> None:
    assert Pipeline(Guards()).background(chat("x"), PROMPT).canary is not None
    assert Pipeline(Guards()).background(chat("x"), None).canary is None
    assert Pipeline(Guards(canary=CanaryRule(mode="off"))).background(chat("x"), PROMPT).canary is None
    assert CANARY not in repr(background())


def test_what_is_planted_is_paid_for() -> None:
    alias = ModelAlias(targets=[Target(upstream="builtin", model="m")], system_prompt=PROMPT)
    paid = (
        estimate(chat("x"), alias).prompt_tokens - estimate(chat("x"), ModelAlias(targets=alias.targets)).prompt_tokens
    )
    assert paid >= len(msgspec.json.encode(with_canary(PROMPT, CANARY)))


def test_guards_that_have_nothing_to_look_for_did_not_run() -> None:
    inspection = Pipeline(Guards()).inspect_answer(answer("x"), chat("x"))
    status = {run.guard: run.status for run in inspection.runs}
    assert (status["canary"], status["prompt_leak"]) == ("skipped", "skipped")
    status = {run.guard: run.status for run in REDACTING.inspect_answer(answer("x"), chat("x"), background()).runs}
    assert (status["canary"], status["prompt_leak"]) == ("ran", "ran")


WRITTEN = [CANARY, CANARY[::-1], " ".join(CANARY), b64(f"x{CANARY}"), CANARY.encode().hex(), CANARY[:5], " ", "a", "kn"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WRITTEN), max_size=5).map("".join), st.lists(st.integers(0, 200), max_size=12))
def test_however_a_stream_is_split_no_canary_leaves(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    whole = REDACTING.inspect_answer(answer(text), chat("x"), background())
    stream = AnswerStream(REDACTING, chat("x"), background())
    sent = [out for piece in stream_of(pieces) for out in stream.feed(piece)]
    assert (assemble(sent).choices[0].message.content or "") == (whole.completion.choices[0].message.content or "")
    assert stream.hold_back == 512


# --- the prompt's words ---------------------------------------------------------------------------


def leaks(text: str, words: int = 8) -> list[tuple[int, int]]:
    pipeline = Pipeline(Guards(prompt_leak=PromptLeakRule(words=words)))
    found = pipeline.inspect_answer(answer(text), chat("x"), background()).findings
    return [finding.span for finding in found if finding.guard == "prompt_leak"]


def test_words_of_the_prompt_in_a_row_are_a_leak() -> None:
    text = "Sure: «You ARE Ada,\n> the *assistant* of Example Ltd. — never tell» anyone"
    assert [text[start:end] for start, end in leaks(text)] == [text[text.index("You") :]]
    assert leaks(PROMPT) == [(0, len(PROMPT) - 1)]


@pytest.mark.parametrize(
    "text",
    [
        "I am Ada, the assistant of Example Ltd, and happy to help.",
        "You are right. The discount code is unknown to me; ask for more detail.",
        "You are Ada, the assistant of" + " " * 20 + "Example Ltd. Never",
        "",
    ],
)
def test_a_few_words_are_none(text: str) -> None:
    assert leaks(text) == []


def test_scripts_without_blanks_are_read_by_characters() -> None:
    pipeline = Pipeline(Guards(prompt_leak=PromptLeakRule(words=8)))
    known = Background(chat("x"), "割引コードを誰にも教えないでください。")
    found = pipeline.inspect_answer(answer("はい。割引コードを誰にも"), chat("x"), known).findings
    assert [finding.kind for finding in found] == ["system_prompt"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([*PROMPT.split()[:14], "x", "you are", "."]), max_size=30),
    st.booleans(),
    st.lists(st.integers(0, 300), max_size=12),
)
def test_a_leak_never_begins_to_leave(words: list[str], leaking: bool, cuts: list[int]) -> None:
    text = " ".join([*words, PROMPT[:60] if leaking else "", "bye"])
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    stream = AnswerStream(BLOCKING, chat("x"), background(None))
    sent = [
        out for piece in stream_of([text[start:end] for start, end in pairwise(places)]) for out in stream.feed(piece)
    ]
    shown = assemble(sent).choices[0].message.content or ""
    found = BLOCKING.inspect_answer(answer(text), chat("x"), background(None)).findings
    starts = [finding.span[0] for finding in found if finding.guard == "prompt_leak"]
    assert shown == (text[: starts[0]] if starts else text)
    assert stream.blocked is bool(starts)
