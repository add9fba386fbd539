"""How much a schema is with every reference written out: references multiply rules, exponentially if somebody wants so.

A schema of two kilobytes whose definitions refer to each other twice applies its last one 2^40 times to a single
number. So its rules are counted as they would be applied to one place of a value, weighed by their bytes, before any
is. A reference back to what it stands in is counted, not followed: what it leads to is judged once for each place and
way there (measured on jsonschema-rs 0.60, which remembers it).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

_HERE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
"""Keywords whose schemas apply to the same value."""

_BELOW = (
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
)
"""Keywords whose schemas apply to what a value holds, all of them perhaps to the same; each of ``properties`` has its
own."""

_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})
_APPLIED = frozenset((*_HERE, *_BELOW, "properties", "$defs", "definitions"))

_AGAIN = 4
"""How often ``unevaluatedProperties``, or ``unevaluatedItems``, lets the schemas beside it be applied (measured: 3)."""

_Schema = dict[str, Any]


class _Sum(Struct, frozen=True):
    """What applies at one place of a value."""

    weight: int
    """Bytes of rules."""

    returns: int
    """References back."""

    def times(self, count: int) -> _Sum:
        return _Sum(self.weight * count, self.returns * count)


_BACK = _Sum(len('{"$ref":"#"}'), 1)


def written_out(schema: _Schema) -> int:
    """Bytes of rules that a schema applies to one place of a value, in the worst case.

    Raises:
        ValueError: It refers to something by other means than ``#/…``, or to what is not there.
    """
    sums: dict[int, _Sum] = {}
    open_ = set[int]()
    stack = [schema]
    while stack:
        node = stack[-1]
        if id(node) in sums:
            stack.pop()
        elif id(node) in open_:
            sums[id(node)] = _sum(node, schema, sums)
            open_.remove(id(node))
            stack.pop()
        else:
            open_.add(id(node))
            applied = (*_here(node, schema), *_schemas(node, ("properties",)), *_schemas(node, _BELOW))
            stack += [other for other in applied if id(other) not in sums and id(other) not in open_]
    whole = sums[id(schema)]
    return whole.weight * (1 + whole.returns)


def _sum(node: _Schema, root: _Schema, sums: dict[int, _Sum]) -> _Sum:
    """What ``node`` applies, where what it refers to and is not summed up yet is what it stands in."""

    def of(schemas: list[_Schema]) -> list[_Sum]:
        return [sums.get(id(each), _BACK) for each in schemas]

    again = _AGAIN ** sum(word in node for word in ("unevaluatedProperties", "unevaluatedItems"))
    applied = [each.times(again) for each in of(_here(node, root))] + of(_schemas(node, _BELOW))
    named = of(_schemas(node, ("properties",)))
    return _Sum(
        _weight(node) + sum(each.weight for each in applied) + max((each.weight for each in named), default=0),
        sum(each.returns for each in applied) + max((each.returns for each in named), default=0),
    )


def _here(node: _Schema, root: _Schema) -> list[_Schema]:
    """What applies to the same value as ``node``."""
    if node is not root and any(isinstance(node.get(word), str) for word in ("$id", "id")):
        raise ValueError("it holds another document")
    if "$dynamicRef" in node or "$recursiveRef" in node:
        raise ValueError("it has dynamic references")
    found = _schemas(node, _HERE)
    if isinstance(node.get("$ref"), str):
        target = _at(root, node["$ref"])
        found += [target] if isinstance(target, dict) else []
    return found


def _schemas(node: _Schema, words: tuple[str, ...]) -> list[_Schema]:
    """The schemas under some keywords of ``node``, which hold one, a list, or some by name."""
    found: list[_Schema] = []
    for word in words:
        held = node.get(word)
        if isinstance(held, list):
            found += [each for each in held if isinstance(each, dict)]
        elif isinstance(held, dict):
            found += [each for each in held.values() if isinstance(each, dict)] if word in _BY_NAME else [held]
    return found


def _at(root: _Schema, reference: str) -> Any:
    """What a reference within the document leads to."""
    pointer = unquote(reference.removeprefix("#"))
    if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
        raise ValueError("it has a reference that is no pointer into itself")
    target: Any = root
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            target = target[int(name)] if isinstance(target, list) else target[name]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError("it refers to what is not there") from None
    return target


def _weight(node: _Schema) -> int:
    """Bytes of a schema without those that it applies."""
    own = {word: held for word, held in node.items() if word not in _APPLIED}
    return len(msgspec.json.encode(own)) + sum(len(word) for word in node if word in _APPLIED)
