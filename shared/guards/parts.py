"""Every text in a request or an answer, with its path and where it comes from.

The walk is the one list of what guards read: a field that carries text and is not here would pass them by.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from shared.guards.port import SEPARATOR, Channel
from shared.models.wire import (
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    FilePart,
    ImagePart,
    JsonSchemaFormat,
    Message,
    NamedTool,
    RefusalPart,
    SoleTextPart,
    TextPart,
    ToolMessage,
)
from shared.text.canonical import Text, canonicalise
from shared.text.json_text import canonicalise_json
from shared.text.markdown_code import START, Blocks

Form = Literal["prose", "json", "name"]
"""``json`` is cut inside string values only; a ``name``, which others refer to, is never cut."""

Body = TypeVar("Body", ChatRequest, ChatCompletion)


class Part(msgspec.Struct, frozen=True):
    """One text, and the place it is read from. A struct, which is made seven times faster than a dataclass."""

    path: str
    """As ``messages[0].content[1].text``."""

    channel: Channel
    text: str
    form: Form
    owner: Any
    slot: str | int
    """The attribute of ``owner``, or its index, that holds the text."""

    cut_escapes: bool = True
    """For ``json``: whether escapes of control characters are cut from its canonical text."""

    role: str = ""
    """Of the message whose content it is; empty where it is anything else."""

    before: Blocks = START
    """What was open where the text begins, if it is a window over a longer one."""

    since: int = 0
    """In such a window: where the findings begin that are not known yet."""

    def __repr__(self) -> str:
        return f"Part({self.path!r})"

    def read(self) -> Text:
        """The text with its views."""
        return (
            canonicalise_json(self.text, cut_escapes=self.cut_escapes)
            if self.form == "json"
            else canonicalise(self.text)
        )


class Parts(msgspec.Struct, frozen=True):
    """Everything a request carries that a model could read."""

    texts: tuple[Part, ...]
    unscannable: tuple[str, ...]
    """Paths of images, recordings and files, which no guard can read."""


def request_parts(request: ChatRequest) -> Parts:
    """Every untrusted text of ``request``, in order, and what cannot be read."""
    unscannable: list[str] = []
    return Parts(tuple(_request_texts(request, unscannable)), tuple(unscannable))


def answer_parts(completion: ChatCompletion, content_form: Form) -> tuple[Part, ...]:
    """Every text of ``completion``, in order; its content is ``json`` where JSON was asked for."""
    return tuple(_answer_texts(completion, content_form))


def canonical_text(texts: Sequence[Text]) -> str:
    """The canonical views of ``texts`` as one text, for the audit trail, with ``SEPARATOR`` between them."""
    return SEPARATOR.join([text.canonical.text for text in texts])


def with_texts(body: Body, parts: Sequence[Part], texts: Mapping[int, str]) -> Body:
    """A copy of ``body``, which ``parts`` were read from, with some of their texts replaced.

    Args:
        body: Left as it is.
        parts: All parts of ``body``.
        texts: New texts by their index in ``parts``.
    """
    if not texts:
        return body
    copied: dict[int, Any] = {}
    replaced = copy.deepcopy(body, copied)
    for index, text in texts.items():
        part = parts[index]
        owner = copied[id(part.owner)]
        if isinstance(part.slot, int):
            owner[part.slot] = text
        else:
            holds_tree = isinstance(getattr(owner, part.slot), dict)
            setattr(owner, part.slot, msgspec.json.decode(text) if holds_tree else text)
    return replaced


def _request_texts(request: ChatRequest, unscannable: list[str]) -> Iterator[Part]:
    for index, message in enumerate(request.messages):
        yield from _message_texts(message, f"messages[{index}]", unscannable)
    for index, tool in enumerate(request.tools or ()):
        path, function = f"tools[{index}].function", tool.function
        yield _part(f"{path}.name", function, "name", "name")
        if function.description is not None:
            yield _part(f"{path}.description", function, "description")
        if function.parameters is not None:
            yield _tree(f"{path}.parameters", function, "parameters", function.parameters)
    if isinstance(request.tool_choice, NamedTool):
        yield _part("tool_choice.function.name", request.tool_choice.function, "name", "name")
    if isinstance(request.response_format, JsonSchemaFormat):
        path, declared = "response_format.json_schema", request.response_format.json_schema
        yield _part(f"{path}.name", declared, "name", "name")
        if declared.description is not None:
            yield _part(f"{path}.description", declared, "description")
        if declared.schema is not None:
            yield _tree(f"{path}.schema", declared, "schema", declared.schema)
    if isinstance(request.stop, str):
        yield _part("stop", request, "stop")
    for index, stop in enumerate(request.stop if isinstance(request.stop, list) else ()):
        yield Part(f"stop[{index}]", "user", stop, "prose", request.stop, index)


def _message_texts(message: Message, path: str, unscannable: list[str]) -> Iterator[Part]:
    channel: Channel = "tool" if isinstance(message, ToolMessage) else "user"
    if isinstance(message, ToolMessage):
        yield _part(f"{path}.tool_call_id", message, "tool_call_id", "name", channel)
    elif message.name is not None:
        yield _part(f"{path}.name", message, "name", "name")
    if isinstance(message.content, str):
        yield _part(f"{path}.content", message, "content", channel=channel, role=_role(message))
    else:
        for index, content in enumerate(message.content or ()):
            yield from _content_texts(content, f"{path}.content[{index}]", channel, _role(message), unscannable)
    if isinstance(message, AssistantMessage):
        if message.refusal is not None:
            yield _part(f"{path}.refusal", message, "refusal")
        yield from _tool_call_texts(message.tool_calls or (), path, cut_escapes=True)


def _role(message: Message) -> str:
    return str(message.__struct_config__.tag)


def _content_texts(content: Any, path: str, channel: Channel, role: str, unscannable: list[str]) -> Iterator[Part]:
    if isinstance(content, TextPart | SoleTextPart):
        yield _part(f"{path}.text", content, "text", channel=channel, role=role)
    elif isinstance(content, RefusalPart):
        yield _part(f"{path}.refusal", content, "refusal", channel=channel)
    else:
        unscannable.append(path)
    if isinstance(content, ImagePart) and content.image_url.url[:5].lower() != "data:":
        yield _part(f"{path}.image_url.url", content.image_url, "url", "name", "document")
    elif isinstance(content, FilePart):
        for name in ("file_id", "filename"):
            if getattr(content.file, name) is not None:
                yield _part(f"{path}.file.{name}", content.file, name, "name", "document")


def _tool_call_texts(calls: Sequence[Any], path: str, *, cut_escapes: bool) -> Iterator[Part]:
    for index, call in enumerate(calls):
        at = f"{path}.tool_calls[{index}]"
        if call.type != "function":  # an answer's type is any text that the upstream likes
            yield _part(f"{at}.type", call, "type", "name")
        yield _part(f"{at}.id", call, "id", "name")
        yield _part(f"{at}.function.name", call.function, "name", "name")
        arguments = call.function.arguments
        yield Part(f"{at}.function.arguments", "user", arguments, "json", call.function, "arguments", cut_escapes)


def _answer_texts(completion: ChatCompletion, content_form: Form) -> Iterator[Part]:
    for choice in completion.choices:
        path, message = f"choices[{choice.index}].message", choice.message
        if message.role != "assistant":
            yield _part(f"{path}.role", message, "role", "name")
        if message.content is not None:
            yield Part(f"{path}.content", "user", message.content, content_form, message, "content", cut_escapes=False)
        if message.refusal is not None:
            yield _part(f"{path}.refusal", message, "refusal")
        if message.tool_calls:
            yield from _tool_call_texts(message.tool_calls, path, cut_escapes=False)


def _part(path: str, owner: Any, slot: str, form: Form = "prose", channel: Channel = "user", role: str = "") -> Part:
    return Part(path, channel, getattr(owner, slot), form, owner, slot, role=role)


def _tree(path: str, owner: Any, slot: str, tree: dict[str, Any]) -> Part:
    """A JSON value that is not text yet, as the text it will be sent as."""
    return Part(path, "user", msgspec.json.encode(tree).decode(), "json", owner, slot)
