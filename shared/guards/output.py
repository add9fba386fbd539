"""Output validation (LLM02): an answer must be what was asked for before anybody relies on it.

Tool calls go to declared tools with a JSON object as arguments; an answer in JSON is JSON; no answer
is longer than the policy allows. Control characters are removed from every answer by its canonical
reading, whatever the policy says of this guard. Conformance to a declared JSON Schema is another guard's, ``schema``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from shared.guards.forms import CUT_SHORT, Expected
from shared.guards.owasp import INSECURE_OUTPUT_HANDLING, INSECURE_PLUGIN_DESIGN, MODEL_DENIAL_OF_SERVICE
from shared.guards.port import Action, Finding
from shared.models.wire import AnswerToolCall, Choice
from shared.policy.types import GuardRule


class OutputGuard:
    """Validates answers. What is wrong with an answer's form cannot be cut out, so ``redact`` blocks here."""

    name = "output"
    directions = frozenset({"output"})

    def __init__(self, policy: GuardRule, most_characters: int) -> None:
        self.most_characters = most_characters
        self._action: Action = "flag" if policy.action == "flag" else "block"
        self._enforced = policy.mode == "enforce"

    def oversize(self, characters: int) -> list[Finding]:
        """A finding where an answer of so many characters is too long."""
        if characters <= self.most_characters:
            return []
        span = (self.most_characters, characters)
        return [self._finding("answer_too_large", MODEL_DENIAL_OF_SERVICE, span, "choices")]

    def validate(self, choice: Choice, expected: Expected) -> list[Finding]:
        """What is wrong with one choice of an answer, located in it."""
        return list(self._faults(choice, expected))

    def _faults(self, choice: Choice, expected: Expected) -> Iterator[Finding]:
        path, message = f"choices[{choice.index}].message", choice.message
        calls: Sequence[AnswerToolCall] = message.tool_calls or ()
        cut_short = choice.finish_reason in CUT_SHORT
        if expected.json and not (message.refusal or calls) and not (cut_short and not message.content):
            content = message.content or ""
            if not _is_json(content, dict if expected.content == "json_object" else object):
                yield self._malformed("invalid_json", INSECURE_OUTPUT_HANDLING, content, f"{path}.content", cut_short)
        for index, call in enumerate(calls):
            at, name, arguments = f"{path}.tool_calls[{index}].function", call.function.name, call.function.arguments
            if name not in expected.tools:
                yield self._finding("undeclared_tool", INSECURE_PLUGIN_DESIGN, (0, len(name)), f"{at}.name")
            if not _is_json(arguments, dict):
                kind = "invalid_tool_arguments"
                yield self._malformed(kind, INSECURE_PLUGIN_DESIGN, arguments, f"{at}.arguments", cut_short)

    def _malformed(self, kind: str, owasp: str, text: str, path: str, cut_short: bool) -> Finding:
        """A text that is not the JSON it should be; where the answer says that it was cut short, only a flag."""
        span = (0, len(text))
        if cut_short:
            return Finding(self.name, "json_cut_short", owasp, span, 0.5, "flag", self._enforced, path)
        return self._finding(kind, owasp, span, path)

    def _finding(self, kind: str, owasp: str, span: tuple[int, int], path: str) -> Finding:
        return Finding(self.name, kind, owasp, span, 1.0, self._action, self._enforced, path)


def _is_json(text: str, kind: type) -> bool:
    try:
        msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
