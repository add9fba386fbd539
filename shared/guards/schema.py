"""Conformance (LLM02, LLM07): an answer, and tool calls' arguments, against the JSON Schemas that were declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from shared.errors import BadRequest
from shared.guards.forms import CUT_SHORT, Expected
from shared.guards.owasp import INSECURE_OUTPUT_HANDLING, INSECURE_PLUGIN_DESIGN
from shared.guards.port import Action, Finding
from shared.guards.schemas import UnusableSchema, compiled
from shared.models.wire import ChatRequest, Choice, JsonSchemaFormat
from shared.policy.types import GuardRule

_NOTHING: dict[str, Any] = {}


class SchemaGuard:
    """Validates against declared schemas. What does not conform cannot be cut out, so ``redact`` blocks here."""

    name = "schema"

    def __init__(self, policy: GuardRule) -> None:
        self._action: Action = "flag" if policy.action == "flag" else "block"
        self._enforced = policy.mode == "enforce"
        self._refuses = self._enforced and policy.fail == "closed"

    def check_request(self, request: ChatRequest) -> None:
        """Refuse a schema that could not be enforced; call it before anything is charged.

        Raises:
            BadRequest: ``invalid_json_schema``; names the schema.
        """
        if not self._refuses:
            return
        for path, schema in _declared(request):
            try:
                compiled(schema)
            except UnusableSchema as error:
                raise BadRequest(str(error), code="invalid_json_schema", param=path) from None

    def validate(self, choice: Choice, expected: Expected) -> Sequence[Finding]:
        """What of one choice does not conform; what is not even JSON is not told here."""
        return list(self._faults(choice, expected.request))

    def _faults(self, choice: Choice, request: ChatRequest) -> Iterator[Finding]:
        path, message = f"choices[{choice.index}].message", choice.message
        calls = message.tool_calls or ()
        declared = _format_schema(request)
        complete = choice.finish_reason not in CUT_SHORT
        if declared is not None and message.content and complete and not (message.refusal or calls):
            yield from self._judge(message.content, declared, "schema_mismatch", f"{path}.content")
        parameters = _parameters(request) if calls else _NOTHING
        for index, call in enumerate(calls):
            schema = parameters.get(call.function.name)
            if schema is not None and complete:
                at = f"{path}.tool_calls[{index}].function.arguments"
                yield from self._judge(call.function.arguments, schema, "arguments_mismatch", at)

    def _judge(self, text: str, schema: dict[str, Any], kind: str, path: str) -> Iterator[Finding]:
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return
        if not compiled(schema).allows(value, len(text)):
            owasp = INSECURE_OUTPUT_HANDLING if kind == "schema_mismatch" else INSECURE_PLUGIN_DESIGN
            yield Finding(self.name, kind, owasp, (0, len(text)), 1.0, self._action, self._enforced, path)


def _declared(request: ChatRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a request, with its path."""
    for index, tool in enumerate(request.tools or ()):
        if tool.function.parameters is not None:
            yield f"tools[{index}].function.parameters", tool.function.parameters
    declared = _format_schema(request)
    if declared is not None:
        yield "response_format.json_schema.schema", declared


def _parameters(request: ChatRequest) -> dict[str, Any]:
    return {tool.function.name: tool.function.parameters for tool in request.tools or ()}


def _format_schema(request: ChatRequest) -> dict[str, Any] | None:
    asked = request.response_format
    return asked.json_schema.schema if isinstance(asked, JsonSchemaFormat) else None
