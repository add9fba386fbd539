"""Every text that a model or a client could read is a part that guards see, and can be replaced."""

from __future__ import annotations

import copy
import json

import msgspec
import pytest

from shared.guards.parts import answer_parts, request_parts, with_texts
from shared.models.wire import ChatRequest
from tests.support.chats import answer, chat, tool

EVERYTHING = chat(
    messages=[
        {"role": "system", "content": "t-system", "name": "n-system"},
        {"role": "developer", "content": [{"type": "text", "text": "t-developer"}]},
        {
            "role": "user",
            "name": "n-user",
            "content": [
                {"type": "text", "text": "t-user"},
                {"type": "image_url", "image_url": {"url": "https://x.example/t-image"}},
                {"type": "image_url", "image_url": {"url": "DATA:image/png;base64,AA"}},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "AA", "filename": "t-filename", "file_id": "t-fileid"}},
            ],
        },
        {
            "role": "assistant",
            "name": "n-assistant",
            "content": [{"type": "text", "text": "t-assistant"}, {"type": "refusal", "refusal": "t-refusal-part"}],
            "refusal": "t-refusal",
            "tool_calls": [
                {"id": "n-call", "type": "function", "function": {"name": "n-called", "arguments": '{"a":"t-arg"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "n-call-id", "content": "t-result"},
        {"role": "tool", "tool_call_id": "n-call-id-2", "content": [{"type": "text", "text": "t-result-part"}]},
    ],
    tools=[tool("n-tool", description="t-description", parameters={"properties": {"t-key": {"const": "t-const"}}})],
    tool_choice=tool("n-choice"),
    response_format={
        "type": "json_schema",
        "json_schema": {"name": "n-schema", "description": "t-schema", "schema": {"title": "t-title"}},
    },
    stop=["t-stop"],
)


def strings(tree: object) -> list[str]:
    """Every string in a JSON tree, keys of free-form schemas too."""
    if isinstance(tree, str):
        return [tree]
    if isinstance(tree, dict):
        return [text for key, value in tree.items() for text in (key, *strings(value))]
    return [text for item in tree for text in strings(item)] if isinstance(tree, list) else []


def test_every_text_that_a_request_can_hold_is_a_part() -> None:
    seen = "\n".join(part.text for part in request_parts(EVERYTHING).texts)
    everything = json.loads(msgspec.json.encode(EVERYTHING))
    planted = [text for text in strings(everything) if text.startswith(("t-", "n-")) or '"t-' in text]
    assert len(planted) == 27
    assert [text for text in planted if text not in seen] == []


TEXT_FIELDS = {
    "AssistantMessage.content",
    "AssistantMessage.name",
    "AssistantMessage.refusal",
    "ChatRequest.stop",
    "DeveloperMessage.content",
    "DeveloperMessage.name",
    "File.file_id",
    "File.filename",
    "FunctionCall.arguments",
    "FunctionCall.name",
    "FunctionDefinition.description",
    "FunctionDefinition.name",
    "FunctionDefinition.parameters",
    "ImageUrl.url",
    "JsonSchema.description",
    "JsonSchema.name",
    "JsonSchema.schema",
    "NamedFunction.name",
    "RefusalPart.refusal",
    "SoleTextPart.text",
    "SystemMessage.content",
    "SystemMessage.name",
    "TextPart.text",
    "ToolCall.id",
    "ToolMessage.content",
    "ToolMessage.tool_call_id",
    "UserMessage.content",
    "UserMessage.name",
}
NOT_READ = {
    "ChatRequest.model": "an alias, which must be one of the policy's",
    "ChatRequest.user": "never sent upstream",
    "ChatRequest.logit_bias": "keys are token ids; no model reads them",
    "File.file_data": "listed as unscannable",
    "InputAudio.data": "listed as unscannable",
}


def text_fields(kind: msgspec.inspect.Type, found: set[str]) -> bool:
    """Whether a type holds text of its own; puts the struct fields that do into ``found``."""
    inspect = msgspec.inspect
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            if text_fields(field.type, found):
                found.add(f"{kind.cls.__name__}.{field.name}")
        return False
    if isinstance(kind, inspect.UnionType):
        members = [text_fields(member, found) for member in kind.types]
        return any(members)
    if isinstance(kind, inspect.ListType):
        return text_fields(kind.item_type, found)
    if isinstance(kind, inspect.DictType):
        return text_fields(kind.key_type, found) or text_fields(kind.value_type, found)
    return isinstance(kind, inspect.StrType | inspect.AnyType)


def test_no_text_field_of_the_wire_format_is_forgotten() -> None:
    found: set[str] = set()
    text_fields(msgspec.inspect.type_info(ChatRequest), found)
    assert found == TEXT_FIELDS | NOT_READ.keys()


def test_what_no_guard_can_read_is_listed() -> None:
    assert request_parts(EVERYTHING).unscannable == tuple(f"messages[2].content[{index}]" for index in (1, 2, 3, 4))


def test_paths_channels_and_forms() -> None:
    parts = {part.path: part for part in request_parts(EVERYTHING).texts}
    assert parts["messages[4].content"].channel == "tool"
    assert parts["messages[5].content[0].text"].channel == "tool"
    assert parts["messages[2].content[4].file.filename"].channel == "document"
    assert parts["messages[0].content"].channel == "user"
    forms = {form: {path for path, part in parts.items() if part.form == form} for form in ("json", "name")}
    assert forms["json"] == {
        "messages[3].tool_calls[0].function.arguments",
        "tools[0].function.parameters",
        "response_format.json_schema.schema",
    }
    assert {path.rpartition(".")[2] for path in forms["name"]} == {
        "name",
        "id",
        "tool_call_id",
        "url",
        "file_id",
        "filename",
    }


def test_every_text_can_be_replaced_and_the_request_itself_stays() -> None:
    before = copy.deepcopy(EVERYTHING)
    parts = request_parts(EVERYTHING).texts
    new = {i: part.text.replace("t-", "T-").replace("n-", "N-") for i, part in enumerate(parts)}
    replaced = with_texts(EVERYTHING, parts, new)
    assert before == EVERYTHING
    assert [part.text for part in request_parts(replaced).texts] == list(new.values())
    assert msgspec.json.decode(msgspec.json.encode(replaced), type=ChatRequest) == replaced


def test_nothing_to_replace_means_no_copy() -> None:
    assert with_texts(EVERYTHING, request_parts(EVERYTHING).texts, {}) is EVERYTHING


@pytest.mark.parametrize("stop", [None, "t-stop"])
def test_a_plain_request_has_few_parts(stop: str | None) -> None:
    paths = [part.path for part in request_parts(chat("hi", stop=stop)).texts]
    assert paths == ["messages[0].content", *(["stop"] if stop else [])]


def test_every_text_of_an_answer_is_a_part() -> None:
    completion = answer("c", refusal="r", calls=[("f", "{}")])
    completion.choices[0].message.role = "system: obey"
    assert [(part.path, part.form) for part in answer_parts(completion, "json")] == [
        ("choices[0].message.role", "name"),
        ("choices[0].message.content", "json"),
        ("choices[0].message.refusal", "prose"),
        ("choices[0].message.tool_calls[0].id", "name"),
        ("choices[0].message.tool_calls[0].function.name", "name"),
        ("choices[0].message.tool_calls[0].function.arguments", "json"),
    ]


def test_parts_do_not_show_their_text() -> None:
    assert "t-" not in repr(request_parts(EVERYTHING).texts)
