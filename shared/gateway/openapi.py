"""The OpenAPI document of guard, made from the types that requests are checked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.gateway.scan_types import ScanRequest, ScanResult
from shared.models.wire import ChatChunk, ChatCompletion, ChatRequest
from shared.policy.types import PolicyFile

_REFERENCE = "#/components/schemas/{name}"
_UNSCANNABLE = ("ImagePart", "AudioPart", "FilePart")

_REASONS = {
    400: "The request is malformed, or a guard blocked the prompt or the answer (`content_filter`).",
    401: "No credential, or one that is not accepted.",
    403: "The credential may not do this.",
    404: "No such model.",
    408: "The body did not arrive in time.",
    409: "The `Idempotency-Key` is in use, or was used with another body.",
    413: "The body is larger than the policy allows.",
    415: "The body is not JSON.",
    429: "A limit is used up.",
    502: "The model failed; with `x-should-retry: false` where a retry cannot help.",
    503: "Wardgate or the model cannot answer now.",
    504: "The model took too long.",
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "param": {"type": ["string", "null"]},
    },
}
_MODEL_LIST = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"const": "list"},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "object", "created", "owned_by"],
                "properties": {
                    "id": {"type": "string"},
                    "object": {"const": "model"},
                    "created": {"type": "integer"},
                    "owned_by": {"type": "string"},
                },
            },
        },
    },
}
_EVENT = {
    "type": "object",
    "description": "One server-sent event; the last one's data is `[DONE]`.",
    "required": ["data"],
    "properties": {
        "data": {
            "anyOf": [
                {"const": "[DONE]"},
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": _REFERENCE.format(name="ChatChunk")},
                },
            ]
        }
    },
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A retry with the same key and body is charged once and gets the same answer.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def openapi_document(policy: PolicyFile) -> dict[str, Any]:
    """OpenAPI 3.1 for the routes that guard serves under ``policy``."""
    _, components = msgspec.json.schema_components(
        [ChatRequest, ChatCompletion, ChatChunk, ScanRequest, ScanResult], ref_template=_REFERENCE
    )
    schemas = {**components, "Error": _ERROR, "Problem": _PROBLEM}
    if not policy.guards.allow_unscanned_parts:
        _remove_parts(schemas, _UNSCANNABLE)
    schemas["ChatRequest"]["properties"]["model"]["enum"] = sorted(policy.models)
    sizes = policy.guards.sizes
    schemas["ChatRequest"]["properties"]["messages"]["maxItems"] = sizes.messages
    schemas["ChatRequest"]["if"] = {"properties": {"tool_choice": {"const": "required"}}, "required": ["tool_choice"]}
    schemas["ChatRequest"]["then"] = {"properties": {"tools": {"type": "array"}}, "required": ["tools"]}
    schemas["ScanRequest"]["oneOf"] = [
        {"required": ["text"], "properties": {"text": {"type": "string"}, "messages": {"type": "null"}}},
        {
            "required": ["messages"],
            "properties": {
                "messages": {"type": "array", "maxItems": sizes.messages},
                "text": {"type": "null"},
                "direction": {"const": "input"},
            },
        },
    ]
    stream = {"schema": _EVENT}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wardgate",
            "version": "1",
            "description": "A guarded LLM endpoint in OpenAI's wire format. Every answer carries a signed receipt "
            "of what was checked, in the header `wardgate-receipt` or the last comment of a stream.",
        },
        "security": [{"bearer": []}],
        "paths": {
            "/v1/chat/completions": {
                "post": _operation(
                    "createChatCompletion",
                    "Ask a model",
                    {"application/json": _schema("ChatCompletion"), "text/event-stream": stream},
                    errors=(400, 401, 403, 404, 408, 409, 413, 415, 429, 502, 503, 504),
                    body="ChatRequest",
                    parameters=[_IDEMPOTENCY_KEY],
                )
            },
            "/v1/models": {
                "get": _operation(
                    "listModels",
                    "The models that may be asked for",
                    {"application/json": {"schema": _MODEL_LIST}},
                    errors=(401, 403, 429, 503),
                )
            },
            "/v1/scan": {
                "post": _operation(
                    "scan",
                    "What the guards say of a text, without asking a model",
                    {"application/json": _schema("ScanResult")},
                    errors=(400, 401, 403, 408, 413, 415, 429, 503),
                    body="ScanRequest",
                )
            },
            "/healthz": {"get": _open("health", "Whether guard answers")},
            "/openapi.json": {"get": _open("openapi", "This document")},
            "/.well-known/jwks.json": {"get": _open("jwks", "The public keys of receipts")},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A Wardgate API key (`wg_…`) or a token of an issuer that the policy names.",
                }
            },
        },
    }


def _schema(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": _REFERENCE.format(name=name)}}


def _operation(
    operation_id: str,
    summary: str,
    content: Mapping[str, Any],
    *,
    errors: tuple[int, ...],
    body: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "responses": {
            "200": {"description": "The answer.", "content": dict(content)},
            **{
                str(status): {
                    "description": _REASONS[status],
                    "content": {"application/json": _schema("Error"), "application/problem+json": _schema("Problem")},
                }
                for status in errors
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": _schema(body)}}
    return operation


def _open(operation_id: str, summary: str) -> dict[str, Any]:
    """An operation that needs no credential."""
    answer = {"application/json": {"schema": {"type": "object"}}}
    return {**_operation(operation_id, summary, answer, errors=(429, 503)), "security": []}


def _remove_parts(schemas: dict[str, Any], names: tuple[str, ...]) -> None:
    """Take the parts that the policy refuses out of every union."""
    references = {_REFERENCE.format(name=name) for name in names}

    def without(node: Any) -> Any:
        if isinstance(node, list):
            return [without(item) for item in node if not (isinstance(item, dict) and item.get("$ref") in references)]
        if not isinstance(node, dict):
            return node
        if "mapping" in node:
            node = {**node, "mapping": {tag: ref for tag, ref in node["mapping"].items() if ref not in references}}
        return {key: without(value) for key, value in node.items()}

    for name in list(schemas):
        schemas[name] = without(schemas[name])
    for name in names:
        schemas.pop(name, None)
