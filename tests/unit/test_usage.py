"""Estimates reserve at least what any byte-level tokenizer would count, and streams that outgrow them are seen."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admission.usage import OutputAllowance, counted, estimate, texts_of, uncounted, used
from shared.models.wire import Delta, FunctionDelta, ToolCallDelta
from shared.policy.types import ModelAlias, Price, Target
from tests.support.chats import answer, chat, chunk, tool

ALIAS = ModelAlias(targets=[Target(upstream="a", model="b")], max_output_tokens=1000, price=Price(input=3, output=7))


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(max_size=50))
def test_the_prompt_is_never_reserved_for_less_than_its_bytes(prompts: list[str], system: str) -> None:
    alias = msgspec.structs.replace(ALIAS, system_prompt=system)
    least = sum(map(counted, prompts)) + counted(system) + 8 * len(prompts)
    assert estimate(chat(*prompts), alias).prompt_tokens >= least


def test_declarations_of_tools_and_forms_are_part_of_the_prompt() -> None:
    plain = estimate(chat("x"), ALIAS).prompt_tokens
    declared = estimate(chat("x", tools=[tool("t", description="d" * 500)]), ALIAS).prompt_tokens
    formed = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"description": "d" * 300}}}
    assert declared >= plain + 500
    assert estimate(chat("x", response_format=formed), ALIAS).prompt_tokens >= plain + 300


@pytest.mark.parametrize(
    ("asked", "reserved"),
    [
        ({}, 1000),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 2000}, 1000),
        ({"max_tokens": 50, "max_completion_tokens": 40, "n": 3}, 120),
        ({"n": 2}, 2000),
    ],
)
def test_the_answer_is_reserved_as_far_as_it_may_go(asked: dict[str, int], reserved: int) -> None:
    assert estimate(chat("x", **asked), ALIAS).completion_tokens == reserved


def test_what_no_one_can_read_is_reserved_at_the_longest_prompt_there_is() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}
    request = chat(messages=[{"role": "user", "content": [image]}])
    assert estimate(request, ALIAS).prompt_tokens == ALIAS.context_tokens
    small = msgspec.structs.replace(ALIAS, context_tokens=100)
    assert estimate(chat("x" * 500), small).prompt_tokens == 100


def test_cost_is_rounded_up_to_a_millionth() -> None:
    estimated = estimate(chat("x", max_tokens=10), ALIAS)
    assert estimated.cost == 1
    assert used(estimated, ALIAS, 1_000_000, 2_000_000).cost == 3 + 14
    assert used(estimated, msgspec.structs.replace(ALIAS, price=None), 10, 10).cost <= 1


def test_what_is_not_counted_upstream_is_charged_by_its_bytes() -> None:
    estimated = estimate(chat("x", max_tokens=10), ALIAS)
    assert uncounted(estimated, ALIAS, 4).completion_tokens == 4
    assert uncounted(estimated, ALIAS, 400).completion_tokens == 10
    assert uncounted(estimated, ALIAS, 4).prompt_tokens == estimated.prompt_tokens


def test_a_stream_may_say_what_was_reserved_and_no_more() -> None:
    allowance = OutputAllowance(3)
    assert [allowance.spend(text) for text in ("a", "", "b", "c", "", "d", "")] == [True] * 5 + [False, False]
    assert not OutputAllowance(10).spend("x" * 16 * 11)


@given(st.lists(st.text(max_size=30), max_size=30))
def test_no_stream_that_keeps_to_its_tokens_is_cut(texts: list[str]) -> None:
    """Even if every token were 16 bytes long: as many as the deltas, or as the bytes need, are always allowed."""
    said = [text for text in texts if text]
    allowance = OutputAllowance(len(said) + sum(map(counted, said)) // 16)
    assert all(allowance.spend(text) for text in texts)


def test_all_texts_of_an_answer_are_counted() -> None:
    assert list(texts_of(answer("said", calls=[("f", "{}")]))) == ["said", "f", "{}"]
    call = ToolCallDelta(0, function=FunctionDelta(arguments="{"))
    assert list(texts_of(chunk(Delta(content="a", tool_calls=[call])))) == ["a", "{"]
