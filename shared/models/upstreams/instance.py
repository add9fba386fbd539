"""The smallest instance of a JSON Schema, as far as the stand-in model needs one.

Reads draft 2020-12's assertions that OpenAI's structured outputs and tools use. What it cannot
satisfy (a ``pattern``, a ``not``) it refuses rather than answer falsely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 16
_MAX_SIZE = 10_000
"""Bound on values and characters made for one schema, since the schema comes from the caller."""

_FORMATS = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "wardgate@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class NoInstance(ValueError):
    """The stand-in cannot make an instance of this schema."""


def smallest_instance(schema: Mapping[str, Any], text: str) -> Any:
    """The smallest value that ``schema`` allows; free strings are ``text`` where their lengths allow it.

    Raises:
        NoInstance: The schema is malformed, contradicts itself, or uses what is not understood here.
    """
    try:
        return _Maker(schema, text).make(schema, 0)
    except NoInstance:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:  # a word of the schema has a value of the wrong type
        raise NoInstance("it is malformed") from error


class _Maker:
    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._text = text
        self._size = 0

    def make(self, schema: Any, depth: int) -> Any:
        self._spend(1)
        if depth > _MAX_DEPTH:
            raise NoInstance("it is nested too deeply")
        schema = self._resolved(_schema(schema))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _first(schema["enum"])
        if "not" in schema or "if" in schema:
            raise NoInstance("it uses 'not' or 'if'")
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._first_possible(schema, word, depth)
        return self._of_type(schema, depth)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema or "required" in schema else "null")
        if isinstance(kind, list):
            kind = "null" if "null" in kind else _first(kind)
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return _number(schema, 1)
            case "number":
                return _number(schema, None)
            case "boolean":
                return False
            case "null":
                return None
        raise NoInstance("it names an unknown type")

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise NoInstance("'properties' or 'required' is malformed")
        if len(required) < _natural(schema, "minProperties"):
            raise NoInstance("it asks for properties that it does not name")
        made = {}
        for name in required:
            if not isinstance(name, str):
                raise NoInstance("'required' is malformed")
            made[name] = self.make(properties.get(name, schema.get("additionalProperties", True)), depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        count = _natural(schema, "minItems")
        if schema.get("uniqueItems") and count > 1:
            raise NoInstance("it asks for several items that differ")
        if "contains" in schema:
            raise NoInstance("it uses 'contains'")
        self._spend(count)
        first = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        return [self.make(first[i] if i < len(first) else rest, depth + 1) for i in range(count)]

    def _string(self, schema: Mapping[str, Any]) -> str:
        shortest = _natural(schema, "minLength")
        longest = schema.get("maxLength", math.inf)
        self._spend(shortest)
        if "pattern" in schema:
            raise NoInstance("it uses 'pattern'")
        if "format" in schema:
            value = _FORMATS.get(schema["format"])
            if value is None or not shortest <= len(value) <= longest:
                raise NoInstance("it uses a 'format' that is not known here")
            return value
        return self._text.ljust(shortest, ".") if len(self._text) <= longest else "." * shortest

    def _first_possible(self, schema: Mapping[str, Any], word: str, depth: int) -> Any:
        branches = schema[word]
        if not isinstance(branches, list):
            raise NoInstance(f"'{word}' is malformed")
        outer = {name: value for name, value in schema.items() if name != word}
        for branch in branches:
            try:
                return self.make(_merged(outer, self._resolved(_schema(branch))), depth + 1)
            except NoInstance:
                continue
        raise NoInstance(f"no branch of '{word}' is possible")

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema with its ``$ref`` followed and its ``allOf`` merged."""
        for _ in range(_MAX_DEPTH):
            if "$ref" in schema:
                target = self._target(schema["$ref"])
                self._spend(len(target) + len(schema))
                schema = _merged({name: value for name, value in schema.items() if name != "$ref"}, target)
            elif "allOf" in schema:
                parts = schema["allOf"]
                schema = {name: value for name, value in schema.items() if name != "allOf"}
                for part in map(_schema, parts):
                    self._spend(len(part) + len(schema))
                    schema = _merged(schema, part)
            else:
                return schema
        raise NoInstance("its references run in a circle")

    def _target(self, reference: Any) -> Mapping[str, Any]:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise NoInstance("it refers to another document")
        target: Any = self._root
        for step in reference[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            target = target.get(step) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping):
            raise NoInstance("a reference leads nowhere")
        return target

    def _spend(self, amount: int) -> None:
        self._size += amount
        if self._size > _MAX_SIZE:
            raise NoInstance("its smallest instance is too large")


def _schema(value: Any) -> Mapping[str, Any]:
    """The schema; ``true`` allows anything, as an empty one does."""
    if value is True:
        return {}
    if not isinstance(value, Mapping):
        raise NoInstance("a part of it is no schema")
    return value


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Both schemas as one. Properties and required names add up; any other word must be in one only, or be equal."""
    merged = dict(one)
    for word, value in other.items():
        if word not in merged or merged[word] == value:
            merged[word] = value
        elif word == "required" and isinstance(value, list):
            merged[word] = [*merged[word], *(name for name in value if name not in merged[word])]
        elif word in ("properties", "$defs") and isinstance(value, Mapping):
            merged[word] = _merged(merged[word], value)
        elif word not in ("title", "description", "default", "examples"):
            raise NoInstance(f"'{word[:32]}' is given twice")
    return merged


def _first(options: Any) -> Any:
    if not isinstance(options, list) or not options:
        raise NoInstance("a list of options is empty")
    return options[0]


def _natural(schema: Mapping[str, Any], word: str) -> int:
    value = schema.get(word, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SIZE:
        raise NoInstance(f"'{word}' is malformed or too large")
    return value


def _number(schema: Mapping[str, Any], step: int | None) -> int | float:
    """A number near zero that the bounds allow: a multiple of ``multipleOf``, whole where ``step`` is 1."""
    multiple = schema.get("multipleOf", step)
    bounds = {word: schema[word] for word in _BOUNDS if word in schema}
    for bound in (*bounds.values(), multiple or 1):
        if not isinstance(bound, int | float) or isinstance(bound, bool) or not abs(bound) < 1e15:
            raise NoInstance("a bound of a number is malformed")
    if multiple is not None and (multiple <= 0 or (step and multiple % step)):
        raise NoInstance("'multipleOf' is malformed")
    grain = multiple or 1e-3
    low = max(bounds.get("minimum", -math.inf), bounds.get("exclusiveMinimum", -math.inf) + grain)
    high = min(bounds.get("maximum", math.inf), bounds.get("exclusiveMaximum", math.inf) - grain)
    nearest: int | float = min(max(0, low), high)
    if multiple:
        nearest = multiple * (math.ceil(nearest / multiple) if nearest > 0 else math.floor(nearest / multiple))
    if not low <= nearest <= high:
        raise NoInstance("no number was found within its bounds")
    return nearest


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
