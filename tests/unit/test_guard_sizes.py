"""Requests beyond a size are refused whole, by the name of what is too large."""

from __future__ import annotations

import pytest

from shared.errors import ApiError, BadRequest, PayloadTooLarge
from shared.guards.pipeline import Pipeline
from shared.models.wire import ChatRequest
from shared.policy.types import Guards, SizeLimits
from tests.support.chats import chat, tool

PIPELINE = Pipeline(Guards(sizes=SizeLimits(messages=3, parts=4, prompt_characters=20)))
TEXTS = [{"type": "text", "text": "x"}] * 3


@pytest.mark.parametrize(
    "request_",
    [
        chat("a", "b", "c"),
        chat("x" * 20),
        chat(messages=[{"role": "user", "content": TEXTS}, {"role": "user", "content": "x"}]),
    ],
)
def test_what_is_within_the_limits_passes(request_: ChatRequest) -> None:
    PIPELINE.check_request(request_)


@pytest.mark.parametrize(
    ("request_", "error", "code", "param"),
    [
        (chat("a", "b", "c", "d"), BadRequest, "too_many_messages", "messages"),
        (
            chat(messages=[{"role": "user", "content": TEXTS}, {"role": "user", "content": TEXTS}]),
            BadRequest,
            "too_many_parts",
            "messages[1].content[1]",
        ),
        (
            chat(messages=[{"role": "user", "content": TEXTS + TEXTS[:1]}, {"role": "user", "content": "x"}]),
            BadRequest,
            "too_many_parts",
            "messages[1].content",
        ),
        (chat("x" * 21), PayloadTooLarge, "prompt_too_large", "messages[0].content"),
        (chat("x" * 10, "x" * 11), PayloadTooLarge, "prompt_too_large", "messages[1].content"),
        (
            chat("x", tools=[tool("f", description="x" * 30)]),
            PayloadTooLarge,
            "prompt_too_large",
            "tools[0].function.description",
        ),
    ],
)
def test_what_is_beyond_them_is_refused_by_name(
    request_: ChatRequest, error: type[ApiError], code: str, param: str
) -> None:
    with pytest.raises(error) as refused:
        PIPELINE.check_request(request_)
    assert (refused.value.code, refused.value.param) == (code, param)
