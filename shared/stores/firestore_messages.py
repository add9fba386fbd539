"""The messages of Firestore's API that Wardgate sends and reads, without the official client.

Only the fields in use are described; the rest of an answer is skipped, as Protocol Buffers prescribe. The
numbers are those of ``google/firestore/v1/{common,document,query,write,firestore}.proto``. ``Timestamp`` and
``Int32Value`` stand in for ``google.protobuf``'s, and an ``int32`` for the enums: the bytes are the same.

Importing the official client takes about half a second and this a few milliseconds, which is felt at
every cold start. The pool is private, so both may be loaded at once.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]  # ships no types
from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]  # ships no types
    FieldDescriptorProto,
    FileDescriptorProto,
)

_PACKAGE = "google.firestore.v1"
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}

# Message → its fields as "type name = number". A leading "repeated", or "map" for a map from strings;
# "oneof:" before the type puts the field into the message's only oneof.
_MESSAGES = {
    "Timestamp": ("int64 seconds = 1", "int32 nanos = 2"),
    "Int32Value": ("int32 value = 1",),
    "Value": (
        "oneof:bool boolean_value = 1",
        "oneof:int64 integer_value = 2",
        "oneof:double double_value = 3",
        "oneof:string reference_value = 5",
        "oneof:MapValue map_value = 6",
        "oneof:ArrayValue array_value = 9",
        "oneof:Timestamp timestamp_value = 10",
        "oneof:int32 null_value = 11",
        "oneof:string string_value = 17",
        "oneof:bytes bytes_value = 18",
    ),
    "ArrayValue": ("repeated Value values = 1",),
    "MapValue": ("map Value fields = 1",),
    "Document": ("string name = 1", "map Value fields = 2", "Timestamp update_time = 4"),
    "DocumentMask": ("repeated string field_paths = 1",),
    "Precondition": ("oneof:bool exists = 1", "oneof:Timestamp update_time = 2"),
    "FieldTransform": ("string field_path = 1", "Value increment = 3"),
    "Write": (
        "oneof:Document update = 1",
        "oneof:string delete = 2",
        "DocumentMask update_mask = 3",
        "Precondition current_document = 4",
        "repeated FieldTransform update_transforms = 7",
    ),
    "WriteResult": ("Timestamp update_time = 1", "repeated Value transform_results = 2"),
    "CommitRequest": ("string database = 1", "repeated Write writes = 2"),
    "CommitResponse": ("repeated WriteResult write_results = 1", "Timestamp commit_time = 2"),
    "GetDocumentRequest": ("string name = 1",),
    "CollectionSelector": ("string collection_id = 2",),
    "FieldReference": ("string field_path = 2",),
    "Order": ("FieldReference field = 1", "int32 direction = 2"),
    "Cursor": ("repeated Value values = 1", "bool before = 2"),
    "StructuredQuery": (
        "repeated CollectionSelector from = 2",
        "repeated Order order_by = 4",
        "Int32Value limit = 5",
        "Cursor start_at = 7",
    ),
    "RunQueryRequest": ("string parent = 1", "oneof:StructuredQuery structured_query = 2"),
    "RunQueryResponse": ("Document document = 1",),
}


def _describe() -> FileDescriptorProto:
    file = FileDescriptorProto(name="wardgate/firestore.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields:
            _describe_field(message, name, text)
    return file


def _describe_field(message: Any, message_name: str, text: str) -> None:
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
        kind = f"{message_name}.{_describe_entry(message, name, kind)}"
    _set_type(field, kind)


def _describe_entry(message: Any, name: str, kind: str) -> str:
    """A map is a repeated message of key and value, marked as such."""
    entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, (part, part_kind) in enumerate((("key", "string"), ("value", kind)), 1):
        field = entry.field.add(name=part, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        _set_type(field, part_kind)
    return str(entry.name)


def _set_type(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_describe())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


CommitRequest = _message("CommitRequest")
CommitResponse = _message("CommitResponse")
Document = _message("Document")
GetDocumentRequest = _message("GetDocumentRequest")
RunQueryRequest = _message("RunQueryRequest")
RunQueryResponse = _message("RunQueryResponse")
Value = _message("Value")
