"""Between the document-store port and Firestore's messages: a commit as bytes, and what its answer and documents say.

Pure functions. A commit is written straight into the wire format, since it is on the way of every request; whatever
of it comes again (a document's name, the read of a field) is written once. The numbers of the fields are those of
``google/firestore/v1/{common,document,write,firestore}.proto``, whose comments are the source of the semantics too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from shared.errors import PreconditionFailed
from shared.stores.document_fields import check_increment, check_value, split_field, split_path
from shared.stores.documents import CommitResult, Delete, Document, Write, WriteResult
from shared.stores.firestore_messages import RunQueryRequest, Value
from shared.stores.protobuf_wire import Field

_NANOSECONDS = 1_000_000_000
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_ASCENDING = 1
_EXPIRES = "expires_at"

# CommitRequest
_DATABASE = Field(1)
_WRITES = Field(2)
# Write
_UPDATE = Field(1)
_DELETE = Field(2)
_UPDATE_MASK = Field(3)
_CURRENT_DOCUMENT = Field(4)
_UPDATE_TRANSFORMS = Field(7)
# Document, and the entries of its map of fields
_NAME = Field(1)
_FIELDS = Field(2)
_KEY = Field(1)
_VALUE = Field(2)
# DocumentMask, Precondition, FieldTransform, Timestamp
_FIELD_PATHS = Field(1)
_EXISTS = Field(1)
_UPDATE_TIME = Field(2)
_FIELD_PATH = Field(1)
_INCREMENT = Field(3)
_SECONDS = Field(1)
_NANOS = Field(2)
# Value, MapValue, ArrayValue
_BOOLEAN = Field(1)
_INTEGER = Field(2)
_DOUBLE = Field(3)
_MAP = Field(6)
_ARRAY = Field(9)
_TIMESTAMP = Field(10)
_NULL = Field(11)
_STRING = Field(17)
_BYTES = Field(18)
_MAP_FIELDS = Field(1)
_ARRAY_VALUES = Field(1)


def encode_commit(database: str, writes: Sequence[Write | Delete]) -> bytes:
    """The ``CommitRequest`` for these writes.

    Args:
        database: Its full name, ``projects/{project}/databases/{database}``.
        writes: What to do, in order.

    Raises:
        ValueError: A path, a value or an increment that no document can hold.
        TypeError: A value of a type that no document can hold.
        PreconditionFailed: A write asks for a document that is missing and was updated at some time.
    """
    parts = [_database(database)]
    for write in writes:
        name = _document_name(database, write.path)
        what = _DELETE.delimited(name) if isinstance(write, Delete) else _update(name, write)
        parts.append(_WRITES.delimited(what + _precondition(write)))
    return b"".join(parts)


@lru_cache(maxsize=64)
def _database(name: str) -> bytes:
    return _DATABASE.delimited(name.encode())


@lru_cache(maxsize=4096)
def _document_name(database: str, path: str) -> bytes:
    split_path(path)
    return f"{database}/documents/{path}".encode()


def _precondition(write: Write | Delete) -> bytes:
    """Firestore takes one precondition; an update time says that the document exists."""
    if write.updated_at is not None:
        if write.exists is False:
            raise PreconditionFailed(f"Document {write.path} cannot be missing and have an update time.")
        return _CURRENT_DOCUMENT.delimited(_UPDATE_TIME.delimited(_timestamp(write.updated_at)))
    if write.exists is not None:
        return _CURRENT_DOCUMENT.delimited(_EXISTS.integer(write.exists))
    return b""


def _update(name: bytes, write: Write) -> bytes:
    fields, expires = write.fields, write.fields.get(_EXPIRES)
    if len(fields) == 1 and isinstance(expires, datetime) and not (write.remove or write.replace):
        what = _expiring(name, expires)
    else:
        fields, mask = _set_and_named(write)
        what = _set(name, fields, None if write.replace else mask)
    return what + b"".join(map(_transform, write.increments, write.increments.values()))


@lru_cache(maxsize=1024)
def _expiring(name: bytes, expires: datetime) -> bytes:
    """A document of which nothing is set but when it expires. Kept, since counters are written again and again."""
    fields = {_EXPIRES: expires}
    check_value(fields)
    return _set(name, fields, [(_EXPIRES,)])


def _set(name: bytes, fields: Mapping[str, Any], mask: list[tuple[str, ...]] | None) -> bytes:
    """The document with these fields; an empty mask keeps every other field, none at all drops them."""
    document = _UPDATE.delimited(_NAME.delimited(name) + _entries(_FIELDS, fields))
    if mask is None:
        return document
    return document + _UPDATE_MASK.delimited(b"".join(map(_named, mask if len(mask) < 2 else _outermost(mask))))


def _set_and_named(write: Write) -> tuple[Mapping[str, Any], list[tuple[str, ...]]]:
    """The fields to set, and every field that is set or removed, by the names that lead to it."""
    fields = write.fields
    if fields:
        check_value(fields)
    mask: list[tuple[str, ...]] = [(name,) for name in fields]
    for path in write.remove:
        parents, name = split_field(path)
        names = (*parents, name)
        if names[0] in fields:
            fields = _without(fields, names)
        else:
            mask.append(names)
    return fields, mask


@lru_cache(maxsize=4096)
def _named(names: tuple[str, ...]) -> bytes:
    return _FIELD_PATHS.delimited(_join(names).encode())


@lru_cache(maxsize=8192, typed=True)
def _transform(path: str, amount: int) -> bytes:
    """An increment. Kept, since most are reads of the same fields again and again."""
    check_increment(path, amount)
    field_path = _FIELD_PATH.delimited(quote_path(path).encode())
    return _UPDATE_TRANSFORMS.delimited(field_path + _INCREMENT.delimited(_INTEGER.integer(amount)))


def _without(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """A copy of ``fields`` that lacks the field at ``names``."""
    copy = dict(fields)
    name, rest = names[0], names[1:]
    if not rest:
        copy.pop(name, None)
    elif isinstance(copy.get(name), Mapping):
        copy[name] = _without(copy[name], rest)
    return copy


def _outermost(mask: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The paths of a mask without those beneath another, since Firestore refuses a mask that overlaps itself."""
    paths = set(mask)
    return [path for path in sorted(paths) if not any(path[:length] in paths for length in range(1, len(path)))]


@lru_cache(maxsize=4096)
def quote_path(path: str) -> str:
    """A field's path as Firestore reads it: names that are no plain identifiers stand in backticks.

    Raises:
        ValueError: It is not a field's path.
    """
    parents, name = split_field(path)
    return _join((*parents, name))


def _join(names: tuple[str, ...]) -> str:
    return ".".join(name if _SIMPLE.fullmatch(name) else _quoted(name) for name in names)


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def encode_value(value: Any) -> bytes:
    """A value that ``check_value`` has passed, as a ``Value``."""
    if isinstance(value, str):
        return _STRING.delimited(value.encode())
    if isinstance(value, bool):
        return _BOOLEAN.integer(value)
    if isinstance(value, int):
        return _INTEGER.integer(value)
    if isinstance(value, float):
        return _DOUBLE.double(value)
    if value is None:
        return _NULL.integer(0)
    if isinstance(value, bytes):
        return _BYTES.delimited(value)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, Mapping):
        return _MAP.delimited(_entries(_MAP_FIELDS, value))
    return _ARRAY.delimited(b"".join([_ARRAY_VALUES.delimited(encode_value(item)) for item in value]))


def _entries(field: Field, values: Mapping[str, Any]) -> bytes:
    """A map is a repeated message of key and value."""
    return b"".join(
        [
            field.delimited(_KEY.delimited(name.encode()) + _VALUE.delimited(encode_value(value)))
            for name, value in values.items()
        ]
    )


@lru_cache(maxsize=1024)
def _moment(value: datetime) -> bytes:
    return _TIMESTAMP.delimited(_timestamp((value - _EPOCH) // _MICROSECOND * 1000))


def _timestamp(nanoseconds: int) -> bytes:
    seconds, nanos = divmod(nanoseconds, _NANOSECONDS)
    return _SECONDS.integer(seconds) + _NANOS.integer(nanos)


def decode_commit(response: Any, writes: Sequence[Write | Delete]) -> CommitResult:
    """What the commit of these writes did.

    Firestore tells no update time where a write changed nothing or deleted; it is the commit's then.
    """
    commit_time = _nanoseconds(response.commit_time)
    results = tuple(
        [_result(write, message, commit_time) for write, message in zip(writes, response.write_results, strict=True)]
    )
    return CommitResult(results, commit_time)


def _result(write: Write | Delete, message: Any, commit_time: int) -> WriteResult:
    increments = write.increments if isinstance(write, Write) else {}
    values = dict(zip(increments, map(_made, message.transform_results), strict=bool(increments)))
    return WriteResult(values, _nanoseconds(message.update_time) or commit_time)


@lru_cache(maxsize=8192)
def _made(value: bytes) -> Any:
    """What a transform has made. Kept, since zeros and small numbers come again and again."""
    return _value(Value.FromString(value))


def decode_document(message: Any, path: str) -> Document:
    """A document as read."""
    return Document(path, _fields(message.fields), _nanoseconds(message.update_time))


def _value(message: Any) -> Any:
    match message.WhichOneof("kind"):
        case "map_value":
            return _fields(message.map_value.fields)
        case "array_value":
            return [_value(item) for item in message.array_value.values]
        case "timestamp_value":
            return _EPOCH + timedelta(microseconds=_nanoseconds(message.timestamp_value) // 1000)
        case "null_value" | None:
            return None
        case kind:
            return getattr(message, kind)


def _fields(message: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in message.items()}


def _nanoseconds(message: Any) -> int:
    return int(message.seconds) * _NANOSECONDS + int(message.nanos)


def encode_page(database: str, collection: str, after: str, limit: int) -> Any:
    """The query for a page of a collection by id; the arguments are those of ``DocumentStore.list``."""
    parent, _, identifier = f"{database}/documents/{collection}".rpartition("/")
    request = RunQueryRequest(parent=parent)
    query = request.structured_query
    getattr(query, "from").add(collection_id=identifier)
    order = query.order_by.add(direction=_ASCENDING)
    order.field.field_path = "__name__"
    query.limit.value = limit
    if after:
        query.start_at.values.add(reference_value=f"{parent}/{identifier}/{after}")
    return request
