"""``POST /v1/scan``: what the guards say of a text, without asking a model."""

from __future__ import annotations

from flask import Request, Response

from shared.admission.port import Usage
from shared.errors import BadRequest, PayloadTooLarge
from shared.gateway.admit import admit
from shared.gateway.call import Call
from shared.gateway.exchange import Exchange
from shared.gateway.scan_types import ScanFinding, ScanGuard, ScanRequest, ScanResult
from shared.gateway.services import Services
from shared.guards.inspection import Inspection
from shared.models.wire import ChatRequest
from shared.shapes import prepare
from shared.web.request import decode_json, read_json_body
from shared.web.responses import json_response

prepare(ScanRequest)


def scan(services: Services, request: Request, call: Call) -> Response:
    """Answer a scan. It consumes the request limits, as a chat does."""
    pipeline = services.pipelines.of(call.caller.tenant)
    sizes = pipeline.sizes
    body = read_json_body(request, sizes.body_bytes, sizes.body_seconds)
    asked = decode_json(body, ScanRequest, depth=sizes.depth)
    if (asked.text is None) == (asked.messages is None):
        raise BadRequest("Give either 'text' or 'messages'.", code="invalid_value", param="text")
    if asked.text is not None and len(asked.text) > sizes.prompt_characters:
        raise PayloadTooLarge(f"The text has more than {sizes.prompt_characters} characters.", param="text")
    conversation = None
    if asked.messages is not None:
        if asked.direction == "output":
            raise BadRequest("An answer is scanned as 'text'.", code="invalid_value", param="direction")
        conversation = ChatRequest(model="scan", messages=asked.messages)
        pipeline.check_request(conversation)
    exchange = Exchange(services, call, "scan", call.caller, services.clock.time_ns())
    headers = admit(exchange, Usage())
    inspection: Inspection
    if conversation is not None:
        inspection = pipeline.inspect_request(conversation)
    else:
        inspection = pipeline.inspect_text(asked.text or "", asked.direction, asked.channel)
    exchange.prompt_inspected(inspection)
    exchange.end("answered")
    result = ScanResult(
        id=call.request_id,
        verdict=inspection.verdict,
        score=inspection.score,
        findings=[
            ScanFinding(
                guard=finding.guard,
                kind=finding.kind,
                owasp=finding.owasp,
                span=finding.span,
                score=finding.score,
                action=finding.action,
                enforced=finding.enforced,
                part=finding.part,
            )
            for finding in inspection.findings
        ],
        guards=[ScanGuard(run.guard, run.status, run.bytes_seen) for run in inspection.runs],
    )
    return json_response(result, headers=headers)
