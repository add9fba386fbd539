"""Between the document-store port and Firestore's messages: values, field paths, writes and their results.

Pure functions. Source of the semantics: the comments of ``google/firestore/v1/{document,write}.proto``.
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
from shared.stores.firestore_messages import CommitRequest, RunQueryRequest

_NANOSECONDS = 1_000_000_000
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_ASCENDING = 1


def encode_commit(database: str, writes: Sequence[Write | Delete]) -> Any:
    """The request for these writes.

    Args:
        database: Its full name, ``projects/{project}/databases/{database}``.
        writes: What to do, in order.

    Raises:
        ValueError: A path, a value or an increment that no document can hold.
        TypeError: A value of a type that no document can hold.
        PreconditionFailed: A write asks for a document that is missing and was updated at some time.
    """
    request = CommitRequest(database=database)
    for write in writes:
        split_path(write.path)
        message = request.writes.add()
        name = f"{database}/documents/{write.path}"
        if isinstance(write, Delete):
            message.delete = name
        else:
            message.update.name = name
            _encode_update(message, write)
        _encode_precondition(message, write)
    return request


def _encode_precondition(message: Any, write: Write | Delete) -> None:
    """Firestore takes one precondition; an update time says that the document exists."""
    if write.updated_at is not None:
        if write.exists is False:
            raise PreconditionFailed(f"Document {write.path} cannot be missing and have an update time.")
        _set_time(message.current_document.update_time, write.updated_at)
    elif write.exists is not None:
        message.current_document.exists = write.exists


def _encode_update(message: Any, write: Write) -> None:
    fields = dict(write.fields)
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
    target = message.update.fields
    for field, value in fields.items():
        set_value(target[field], value)
    if not write.replace:
        message.update_mask.SetInParent()  # an empty mask keeps every field; none at all would drop them
        message.update_mask.field_paths.extend(map(_join, _outermost(mask)))
    for path, amount in write.increments.items():
        check_increment(path, amount)
        transform = message.update_transforms.add()
        transform.field_path = quote_path(path)
        transform.increment.integer_value = amount


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


def set_value(message: Any, value: Any) -> None:
    """Put a value that ``check_value`` has passed into a ``Value`` message."""
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.boolean_value = value
    elif isinstance(value, int):
        message.integer_value = value
    elif isinstance(value, float):
        message.double_value = value
    elif value is None:
        message.null_value = 0
    elif isinstance(value, bytes):
        message.bytes_value = value
    elif isinstance(value, datetime):
        _set_time(message.timestamp_value, (value - _EPOCH) // _MICROSECOND * 1000)
    elif isinstance(value, Mapping):
        message.map_value.SetInParent()
        for name, item in value.items():
            set_value(message.map_value.fields[name], item)
    else:
        message.array_value.SetInParent()
        for item in value:
            set_value(message.array_value.values.add(), item)


def _set_time(message: Any, nanoseconds: int) -> None:
    message.SetInParent()
    message.seconds, message.nanos = divmod(nanoseconds, _NANOSECONDS)


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


def decode_commit(response: Any, writes: Sequence[Write | Delete]) -> CommitResult:
    """What the commit of these writes did.

    Firestore tells no update time where a write changed nothing or deleted; it is the commit's then.
    """
    commit_time = _nanoseconds(response.commit_time)
    results = tuple(
        _result(write, message, commit_time) for write, message in zip(writes, response.write_results, strict=True)
    )
    return CommitResult(results, commit_time)


def _result(write: Write | Delete, message: Any, commit_time: int) -> WriteResult:
    increments = write.increments if isinstance(write, Write) else {}
    values = {
        path: _value(result) for path, result in zip(increments, message.transform_results, strict=bool(increments))
    }
    return WriteResult(values, _nanoseconds(message.update_time) or commit_time)


def decode_document(message: Any, path: str) -> Document:
    """A document as read."""
    return Document(path, _fields(message.fields), _nanoseconds(message.update_time))


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
