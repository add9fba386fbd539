"""Tool policy (LLM07, LLM08): which tools may be offered and called, with what, and which calls a human must approve.

Wardgate runs no tool. Whoever does learns from the answer, and from its signed receipt, which calls wait for
somebody's consent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from shared.errors import ConfigurationError, Fault
from shared.guards.forms import CUT_SHORT, Expected
from shared.guards.owasp import EXCESSIVE_AGENCY, INSECURE_PLUGIN_DESIGN
from shared.guards.port import Finding
from shared.guards.schemas import Schema, UnusableSchema, compiled
from shared.models.wire import ChatRequest, Choice
from shared.policy.types import ToolsRule


class ToolGuard:
    """Holds requests and answers to the policy's lists of tools."""

    name = "tools"

    def __init__(self, policy: ToolsRule) -> None:
        """
        Raises:
            ConfigurationError: A schema of the policy cannot be used.
        """
        self._offer = _Names(policy.offer)
        self._call = _Names(policy.call)
        self._approve = _Names(policy.approve)
        self._arguments = {name: _of_policy(name, schema) for name, schema in policy.arguments.items()}
        self._policy = policy
        self._enforced = policy.mode == "enforce"

    def offered(self, request: ChatRequest) -> list[Finding]:
        """Tools that a request declares and may not."""
        return [
            self._finding("tool_not_offered", EXCESSIVE_AGENCY, tool.function.name, f"tools[{index}].function.name")
            for index, tool in enumerate(request.tools or ())
            if not self._offer.hold(tool.function.name)
        ]

    def validate(self, choice: Choice, expected: Expected) -> Sequence[Finding]:
        """Calls that may not be made, or not so, and those that wait for somebody's consent."""
        return list(self._faults(choice))

    def needs_approval(self, tool: str) -> bool:
        """Whether calls of a tool wait for somebody's consent."""
        return self._enforced and self._approve.hold(tool)

    def _faults(self, choice: Choice) -> Iterator[Finding]:
        for index, call in enumerate(choice.message.tool_calls or ()):
            path = f"choices[{choice.index}].message.tool_calls[{index}].function"
            name, arguments = call.function.name, call.function.arguments
            if not self._call.hold(name):
                yield self._finding("tool_not_allowed", EXCESSIVE_AGENCY, name, f"{path}.name")
            schema = self._arguments.get(name)
            if (
                schema is not None
                and choice.finish_reason not in CUT_SHORT
                and not schema.allows(_read(arguments), len(arguments))
            ):
                kind = "arguments_not_allowed"
                yield self._finding(kind, INSECURE_PLUGIN_DESIGN, arguments, f"{path}.arguments")
            if self._approve.hold(name):
                span, kind = (0, len(name)), "approval_required"
                yield Finding(self.name, kind, EXCESSIVE_AGENCY, span, 0.5, "flag", self._enforced, f"{path}.name")

    def _finding(self, kind: str, owasp: str, text: str, path: str) -> Finding:
        return Finding(self.name, kind, owasp, (0, len(text)), 1.0, self._policy.action, self._enforced, path)


class _Names:
    """A list of tools' names, of which some may end with ``*``; None lists all."""

    def __init__(self, patterns: Sequence[str] | None) -> None:
        self._all = patterns is None
        self._exact = frozenset(pattern for pattern in patterns or () if not pattern.endswith("*"))
        self._beginnings = tuple(pattern[:-1] for pattern in patterns or () if pattern.endswith("*"))

    def hold(self, name: str) -> bool:
        return self._all or name in self._exact or (bool(self._beginnings) and name.startswith(self._beginnings))


def _of_policy(name: str, schema: dict[str, Any]) -> Schema:
    try:
        return compiled(schema)
    except UnusableSchema as error:
        raise ConfigurationError([Fault(f"guards.tools.arguments.{name}", str(error))]) from None


def _read(arguments: str) -> Any:
    """Arguments as a value; what is no JSON is None, which no schema of arguments allows."""
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None
