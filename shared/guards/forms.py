"""The interface of guards over an answer's form: what its choices are made of, not what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from shared.guards.parts import Form
from shared.guards.port import Finding
from shared.models.wire import ChatRequest, Choice, JsonObjectFormat, JsonSchemaFormat

CUT_SHORT = frozenset({"length", "content_filter"})
"""Finish reasons by which an answer says of itself that it is not complete."""


class Expected(msgspec.Struct, frozen=True):
    """What a request allows its answer to be."""

    tools: frozenset[str]
    """Tools that may be called."""

    content: Literal["text", "json", "json_object"]
    request: ChatRequest

    @classmethod
    def of(cls, request: ChatRequest) -> Expected:
        """What ``request`` asks for."""
        callable_tools = () if request.tool_choice == "none" else request.tools or ()
        tools = frozenset(tool.function.name for tool in callable_tools)
        if isinstance(request.response_format, JsonObjectFormat):
            return cls(tools, "json_object", request)
        return cls(tools, "json" if isinstance(request.response_format, JsonSchemaFormat) else "text", request)

    @property
    def content_form(self) -> Form:
        """How the answer's content is to be read."""
        return "json" if self.json else "prose"

    @property
    def json(self) -> bool:
        """Whether the answer's content is to be JSON."""
        return self.content != "text"


class FormGuard(Protocol):
    """Validates the choices of an answer once they are complete. Pure, as a text guard is."""

    name: str

    def validate(self, choice: Choice, expected: Expected) -> Sequence[Finding]:
        """What is wrong with one choice of an answer, located in it."""
