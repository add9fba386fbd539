"""``POST /v1/chat/completions``: the way of a chat through guard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
from flask import Request, Response
from msgspec import UNSET, Struct
from msgspec.structs import replace

from shared.admission.idempotency import StoredAnswer
from shared.admission.usage import counted, estimate, texts_of
from shared.errors import ApiError, BadRequest, ContentFiltered, NotFound
from shared.gateway.admit import admit
from shared.gateway.call import Call
from shared.gateway.exchange import Exchange
from shared.gateway.kill import refuse_killed, tool_scopes, tools_declared
from shared.gateway.once import Once
from shared.gateway.services import Services
from shared.gateway.streamed import StreamedAnswer
from shared.guards.canary import with_canary
from shared.guards.port import Background
from shared.identity.caller import Caller
from shared.models.client import ModelCall
from shared.models.wire import ChatRequest, NamedTool, StreamOptions, SystemMessage
from shared.policy.types import ModelAlias
from shared.shapes import prepare
from shared.switch.state import scopes_of
from shared.switch.switch import CallKilled
from shared.web.http_client import CallCancelled
from shared.web.request import decode_json, read_json_body
from shared.web.responses import json_response

prepare(ChatRequest)

Answer = TypeVar("Answer")

_TIMEOUT = 504


class _Asked(Struct, frozen=True):
    """What the caller wants, read and checked."""

    chat: ChatRequest
    alias: ModelAlias
    body: bytes
    scopes: tuple[str, ...]
    """What the kill switch may stop it by."""


def chat(services: Services, request: Request, call: Call) -> Response:
    """Answer a chat, once for each ``Idempotency-Key``."""
    asked = _read(services, request, call.caller)
    caller = _with_user(call.caller, asked.chat.user)
    exchange = Exchange(
        services,
        call,
        "chat.completions",
        caller,
        services.clock.time_ns(),
        user=caller.user,
        model=asked.chat.model,
        stream=bool(asked.chat.stream),
    )
    refuse_killed(exchange, asked.scopes)
    deadline = services.policy.file.calls.deadline_seconds
    once = Once.begin(services.idempotency, request, caller, asked.body, deadline)
    if isinstance(once, StoredAnswer):
        return _replay(exchange, once)
    try:
        return _answer(exchange, request, asked, once)
    except ApiError as error:
        _give_up(exchange, once, error)
        raise
    except CallCancelled:
        exchange.end("cancelled", "client_gone")
        once.refused(ApiError("The client has gone."), charged=exchange.reservation is not None)
        raise
    except Exception:  # what is charged and known must not be lost with it
        _give_up(exchange, once, ApiError("Wardgate failed."))
        raise


def _with_user(caller: Caller, stated: str | None) -> Caller:
    """The caller with the end user that the request states, if the credential may state one."""
    return replace(caller, user=stated) if stated and caller.may("asserts_user") else caller


def _give_up(exchange: Exchange, once: Once, error: ApiError) -> None:
    once.refused(error, charged=exchange.reservation is not None)
    exchange.fail(error)


def _read(services: Services, request: Request, caller: Caller) -> _Asked:
    """Everything that may be wrong with a request, before anything is charged or recorded."""
    policy = services.policy.file
    pipeline = services.pipelines.of(caller.tenant)
    sizes = pipeline.sizes
    body = read_json_body(request, sizes.body_bytes, sizes.body_seconds)
    asked = decode_json(body, ChatRequest, depth=sizes.depth)
    alias = policy.models.get(asked.model)
    if alias is None:
        message = "There is no such model; GET /v1/models lists those there are."
        raise NotFound(message, code="model_not_found", param="model")
    _check_tool_choice(asked)
    pipeline.check_request(asked)
    scopes = scopes_of(caller.tenant, caller.key_id, asked.model, tools_declared(asked))
    return _Asked(asked, alias, body, scopes)


def _check_tool_choice(asked: ChatRequest) -> None:
    """A choice among tools that are not there is the caller's slip, so it is not left to the model to notice."""
    declared = {tool.function.name for tool in asked.tools or ()}
    chosen = asked.tool_choice
    if isinstance(chosen, NamedTool) and chosen.function.name not in declared:
        raise BadRequest("The tool is not among 'tools'.", code="invalid_value", param="tool_choice.function.name")
    if chosen == "required" and not declared:
        raise BadRequest("There are no 'tools' to choose from.", code="invalid_value", param="tool_choice")


def _replay(exchange: Exchange, stored: StoredAnswer) -> Response:
    exchange.services.uncharged.count(exchange.caller.key_id)
    exchange.end("replayed")
    response = Response(stored.body, stored.status, content_type=stored.content_type)
    response.headers["idempotent-replayed"] = "true"
    if stored.receipt:
        response.headers["wardgate-receipt"] = stored.receipt
    return response


def _answer(exchange: Exchange, request: Request, asked: _Asked, once: Once) -> Response:
    services = exchange.services
    exchange.alias, exchange.estimate = asked.alias, estimate(asked.chat, asked.alias)
    headers = {} if once.paid else admit(exchange, exchange.estimate)
    if exchange.pipeline.notice:
        headers["wardgate-notice"] = exchange.pipeline.notice
    inspection = exchange.pipeline.inspect_request(asked.chat)
    exchange.prompt_inspected(inspection)
    inspection.raise_if_blocked()
    check_switch = partial(services.switch.check, asked.scopes)
    call = ModelCall(
        exchange.request_id, services.policy.file.calls.deadline_seconds, request.environ, pulse=check_switch
    )
    background = exchange.pipeline.background(inspection.request, asked.alias.system_prompt, inspection.masks)
    forwarded = _for_the_model(background)
    exchange.model_asked, exchange.bytes_sent = True, inspection.bytes_forwarded
    if asked.chat.stream:
        upstream = _answered(exchange, lambda: services.model.stream(forwarded, call))
        wants_usage = bool(asked.chat.stream_options and asked.chat.stream_options.include_usage)
        streamed = StreamedAnswer(exchange, once, upstream, background, scopes=asked.scopes, wants_usage=wants_usage)
        streamed.start()
        return streamed.response(headers)
    answer = _answered(exchange, lambda: services.model.complete(forwarded, call))
    exchange.answered_by(answer.upstream, answer.upstream_model)
    exchange.usage = answer.completion.usage or None
    exchange.answer_bytes = sum(counted(text) for text in texts_of(answer.completion))
    services.switch.check((*asked.scopes, *tool_scopes(answer.completion)))
    checked = exchange.pipeline.inspect_answer(answer.completion, inspection.request, background)
    exchange.answer_inspected(checked)
    checked.raise_if_blocked()
    notice = exchange.pipeline.notice or UNSET
    completion = msgspec.structs.replace(checked.completion, id=exchange.answer_id, notice=notice)
    body = msgspec.json.encode(completion)
    exchange.finish_reasons = tuple(choice.finish_reason or "" for choice in checked.completion.choices)
    exchange.end("answered")
    headers["wardgate-receipt"] = exchange.receipt(checked.completion)
    once.answered(200, "application/json", body, headers["wardgate-receipt"])
    return json_response(body, headers=headers)


def _answered(exchange: Exchange, ask: Callable[[], Answer]) -> Answer:
    """The model's answer. Where an error comes instead nothing was used; if it was not waited for, who knows."""
    try:
        return ask()
    except ApiError as error:
        if isinstance(error, ContentFiltered):
            exchange.findings += exchange.pipeline.prompt_refused()
        exchange.model_asked = error.status == _TIMEOUT or isinstance(error, CallKilled)
        raise


def _for_the_model(background: Background) -> ChatRequest:
    """The request as the model gets it: with the policy's own prompt first, and with usage counted on streams."""
    chat, prompt = background.request, background.system_prompt
    forwarded = msgspec.structs.replace(chat, user=None)
    if prompt is not None:
        hidden = prompt if background.canary is None else with_canary(prompt, background.canary)
        forwarded.messages = [SystemMessage(content=hidden), *chat.messages]
    if chat.stream:
        forwarded.stream_options = StreamOptions(include_usage=True)
    return forwarded
