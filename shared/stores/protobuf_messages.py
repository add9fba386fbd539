"""Message classes of Google's APIs from short descriptions, without the official clients.

Importing an official client takes about half a second and this a few milliseconds, which is felt at every
cold start. Only the fields in use are described; the rest of an answer is skipped, as Protocol Buffers
prescribe. Each API has a private pool, so its official client may be loaded at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]  # ships no types
from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]  # ships no types
    FieldDescriptorProto,
    FileDescriptorProto,
)

_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}


def message_classes(package: str, messages: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The class of each message by its name.

    Args:
        package: The API's own, such as ``google.firestore.v1``.
        messages: Message → its fields as ``type name = number``. A leading ``repeated``, or ``map`` for a map
            from strings; ``oneof:`` before the type puts the field into the message's only oneof.
    """
    file = FileDescriptorProto(name=f"wardgate/{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for text in fields:
            _describe_field(message, f".{package}.", name, text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _describe_field(message: Any, scope: str, message_name: str, text: str) -> None:
    left, _, number = text.partition(" = ")
    *label, kind, name = left.split(" ")
    field = message.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind.startswith("oneof:"):
        kind = kind.removeprefix("oneof:")
        if not message.oneof_decl:
            message.oneof_decl.add(name="kind")
        field.oneof_index = 0
    if label:
        field.label = FieldDescriptorProto.LABEL_REPEATED
    if label == ["map"]:
        kind = f"{message_name}.{_describe_entry(message, scope, name, kind)}"
    _set_type(field, scope, kind)


def _describe_entry(message: Any, scope: str, name: str, kind: str) -> str:
    """A map is a repeated message of key and value, marked as such."""
    entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, (part, part_kind) in enumerate((("key", "string"), ("value", kind)), 1):
        field = entry.field.add(name=part, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        _set_type(field, scope, part_kind)
    return str(entry.name)


def _set_type(field: Any, scope: str, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f"{scope}{kind}"
