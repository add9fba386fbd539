"""What a write does to a document's fields, after Firestore, as pure functions.

Source of the semantics: the comments of ``google.firestore.v1`` (``write.proto``, ``document.proto``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.stores.documents import Value, Write

MAX_DEPTH = 20
LARGEST = 2**63 - 1
SMALLEST = -(2**63)

_SEGMENT = r"(?!\.\.?(?:/|$)|__[^/]*__(?:/|$))[^/]+"
_COLLECTION = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}/{_SEGMENT})*")
_DOCUMENT = re.compile(rf"(?:{_SEGMENT}/{_SEGMENT}/)*{_SEGMENT}/{_SEGMENT}")
_MAX_PATH = 1500


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, str]:
    """Collection and id of a document's path.

    Raises:
        ValueError: It is not a document's path.
    """
    if _DOCUMENT.fullmatch(path) is None or len(path) > _MAX_PATH:
        raise ValueError(f"Not a document's path: {path[:80]!r}.")
    collection, _, identifier = path.rpartition("/")
    return collection, identifier


@lru_cache(maxsize=4096)
def split_field(path: str) -> tuple[tuple[str, ...], str]:
    """The names that lead to a field, and its own.

    Raises:
        ValueError: It is not a field's path.
    """
    *parents, name = path.split(".")
    if not name or not all(parents):
        raise ValueError(f"Not a field's path: {path[:80]!r}.")
    return tuple(parents), name


def check_collection(collection: str) -> None:
    """Raise ValueError where this is not a collection's path."""
    if _COLLECTION.fullmatch(collection) is None or len(collection) > _MAX_PATH:
        raise ValueError(f"Not a collection's path: {collection[:80]!r}.")


def check_value(value: Value, depth: int = 0) -> None:
    """Raise ValueError or TypeError where no document can hold this value, found ``depth`` levels down."""
    kind = type(value)
    if kind in (str, bool, float, bytes) or value is None:
        return
    if kind is int:
        if not SMALLEST <= value <= LARGEST:
            raise ValueError("An integer has at most 64 bits.")
    elif kind is datetime:
        if value.tzinfo is None:
            raise ValueError("A datetime must carry its time zone.")
    elif depth >= MAX_DEPTH:
        raise ValueError(f"A document is nested at most {MAX_DEPTH} deep.")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if type(name) is not str or not name:
                raise ValueError("A field's name is a string that is not empty.")
            check_value(item, depth + 1)
    elif kind is list:
        for item in value:
            if type(item) is list:
                raise ValueError("A list holds no list; put the inner one into a dict.")
            check_value(item, depth + 1)
    else:
        raise TypeError(f"A document holds no {kind.__name__}.")


def check_increment(path: str, amount: int) -> None:
    """Raise ValueError where a field cannot be incremented by this."""
    if type(amount) is not int or not SMALLEST <= amount <= LARGEST:
        raise ValueError(f"An increment is an integer of 64 bits; that of {path[:80]!r} is not.")


def apply_write(write: Write, fields: dict[str, Any]) -> dict[str, int]:
    """Change ``fields`` in place: set, then remove, then increment, as Firestore orders an update and its transforms.

    Returns:
        The new value of each incremented field.

    Raises:
        ValueError: An increment is no 64-bit integer, or a path is malformed.
    """
    if write.replace:
        fields.clear()
    fields.update(_own(write.fields))
    for path in write.remove:
        _remove(fields, path)
    return _increment(fields, write.increments) if write.increments else {}


def _own(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that may be changed: an increment below must not reach into what the caller holds."""
    return {name: _own(value) if isinstance(value, Mapping) else value for name, value in fields.items()}


def _remove(fields: dict[str, Any], path: str) -> None:
    parents, name = split_field(path)
    place: Any = fields
    for parent in parents:
        place = place.get(parent)
        if type(place) is not dict:
            return
    place.pop(name, None)


def _increment(fields: dict[str, Any], increments: Mapping[str, int]) -> dict[str, int]:
    """Add each amount. A field that is missing or no number starts at zero; what overflows stays at the bound."""
    results = {}
    for path, amount in increments.items():
        check_increment(path, amount)
        parents, name = split_field(path)
        place = fields
        for parent in parents:
            inner = place.get(parent)
            if type(inner) is not dict:
                inner = place[parent] = {}
            place = inner
        value = place.get(name, 0)
        value = amount + value if type(value) is int or type(value) is float else amount
        if not SMALLEST <= value <= LARGEST and type(value) is int:
            value = LARGEST if value > 0 else SMALLEST
        place[name] = results[path] = value
    return results
