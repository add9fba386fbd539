"""Refuses calls that the kill switch is on for, before they cost anything."""

from __future__ import annotations

from collections.abc import Iterable

from shared.errors import ApiError, RateLimited
from shared.gateway.exchange import Exchange
from shared.models.wire import ChatCompletion, ChatRequest
from shared.switch.switch import CallKilled
from shared.web.log import log


def refuse_killed(exchange: Exchange, scopes: Iterable[str]) -> None:
    """Let an exchange that has not begun go on, or end it.

    It is recorded unless its key has had its share of such events: who is switched off and goes on
    calling must not fill the trail. The log has a line for every request.

    Raises:
        CallKilled: The switch is on for one of the scopes, or cannot be read.
    """
    try:
        exchange.services.switch.check(scopes)
    except CallKilled as refusal:
        _record(exchange, refusal)
        raise


def _record(exchange: Exchange, refusal: CallKilled) -> None:
    try:
        exchange.services.killed.count(exchange.caller.key_id)
        exchange.fail(refusal)
    except RateLimited:
        return
    except ApiError as error:  # the call is refused all the same, and for the reason that it was refused for
        log("ERROR", "request.unrecorded", request_id=exchange.request_id, code=error.code)


def tools_declared(request: ChatRequest) -> tuple[str, ...]:
    """The tools that the answer to a request may call."""
    return tuple(tool.function.name for tool in request.tools or ())


def tool_scopes(answer: ChatCompletion) -> tuple[str, ...]:
    """The scopes of the tools that an answer calls, declared or not."""
    return tuple(f"tool:{call.function.name}" for choice in answer.choices for call in choice.message.tool_calls or ())
