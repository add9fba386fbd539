"""The published schemas of the events, made from their types.

    python -m shared.audit.schema FOLDER

writes a JSON Schema (2020-12) for each type of event, and one Protocol Buffers schema for all of them, in
the form that Pub/Sub takes for messages in JSON: one top-level type, no imports. Pub/Sub refuses messages with fields
that its schema lacks, so where a topic enforces it, a new revision comes before a new version of the functions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from shared.audit.event import (
    CloseAttributes,
    DenialsAttributes,
    InteractionAttributes,
    OpenAttributes,
    OperationAttributes,
    StartedAttributes,
)
from shared.audit.record import (
    CHAIN_CLOSE,
    CHAIN_OPEN,
    DENIALS,
    INTERACTION,
    INTERACTION_STARTED,
    OPERATION,
    EventType,
    Record,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ATTRIBUTES: dict[EventType, type[msgspec.Struct]] = {
    CHAIN_OPEN: OpenAttributes,
    CHAIN_CLOSE: CloseAttributes,
    INTERACTION_STARTED: StartedAttributes,
    INTERACTION: InteractionAttributes,
    OPERATION: OperationAttributes,
    DENIALS: DenialsAttributes,
}


def published() -> Iterator[tuple[str, str]]:
    """Every published schema, as the name of its file and its text."""
    for event_type in ATTRIBUTES:
        schema = msgspec.json.format(msgspec.json.encode(json_schema(event_type)))
        yield f"{event_type}.schema.json", f"{schema.decode()}\n"
    yield "wardgate.audit.proto", protobuf_schema()


def json_schema(event_type: EventType) -> dict[str, Any]:
    """JSON Schema of the records of one type."""
    schemas, components = msgspec.json.schema_components(
        (Record, ATTRIBUTES[event_type]), ref_template="#/$defs/{name}"
    )
    definitions = {name: _published(schema) for name, schema in components.items()}
    schema = definitions.pop(Record.__name__)
    schema["properties"]["type"] = {"const": event_type}
    schema["properties"]["attributes"] = schemas[1]
    return {"$schema": DIALECT, **schema, "title": event_type, "$defs": definitions}


def _published(schema: Any) -> Any:
    """Without null, since what is unknown is left out of a record; and with patterns that JavaScript knows."""
    if isinstance(schema, list):
        return [_published(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _published(value) for name, value in schema.items() if name != "default"}
    if "pattern" in schema:
        schema["pattern"] = schema["pattern"].replace(r"\Z", "$")
    if "anyOf" in schema:
        known = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        schema |= known[0] if len(known) == 1 else {"anyOf": known}
    return schema


# --- Protocol Buffers -----------------------------------------------------------------------------


def protobuf_schema() -> str:
    """One message for the records of every type; it has the attributes of all of them."""
    nested: dict[str, list[str]] = {}
    attributes: dict[str, str] = {}
    for each in ATTRIBUTES.values():
        for field in msgspec.structs.fields(each):
            attributes.setdefault(field.encode_name, _labelled(field.type, nested))
    top = {
        field.encode_name: "optional Attributes" if field.name == "attributes" else _labelled(field.type, nested)
        for field in msgspec.structs.fields(Record)
    }
    nested["Attributes"] = _fields(attributes)
    lines = ['syntax = "proto3";', "", "// Made by shared.audit.schema; messages are in JSON.", "message Record {"]
    for name, fields in nested.items():
        lines += [f"  message {name} {{", *(f"    {field}" for field in fields), "  }", ""]
    return "\n".join([*lines, *(f"  {field}" for field in _fields(top)), "}", ""])


def _fields(types: dict[str, str]) -> list[str]:
    return [
        f'{kind} {name.replace(".", "_")} = {number} [json_name = "{name}"];'
        for number, (name, kind) in enumerate(types.items(), 1)
    ]


def _labelled(type_: Any, nested: dict[str, list[str]]) -> str:
    """A field's label and type there; messages that it needs are added to ``nested``."""
    kind: Any = inspect.type_info(type_)
    if isinstance(kind, inspect.UnionType):
        (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.ListType):
        return f"repeated {_type_name(kind.item_type, nested)}"
    return f"optional {_type_name(kind, nested)}"


def _type_name(kind: inspect.Type, nested: dict[str, list[str]]) -> str:
    match kind:
        case inspect.IntType():
            return "int64"
        case inspect.BoolType():
            return "bool"
        case inspect.StrType() | inspect.LiteralType():
            return "string"
        case inspect.StructType():
            name = kind.cls.__name__.removesuffix("Attributes")
            fields = {field.encode_name: _labelled(field.type, nested) for field in msgspec.structs.fields(kind.cls)}
            nested[name] = _fields(fields)
            return name
    raise TypeError(f"There is no such type in the schema: {kind}.")


if __name__ == "__main__":
    for file, text in published():
        (Path(sys.argv[1]) / file).write_text(text)
