"""JSON Schemas that callers declare: untrusted programs, compiled by jsonschema-rs within bounds.

Nothing a schema refers to is ever fetched, its patterns run in linear time (Rust's ``regex``, which has no
look-around and no back references), no code is generated from it, and it can only be so large, also with every
reference written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from shared.guards.schema_work import written_out

if TYPE_CHECKING:
    from jsonschema_rs import Validator

MOST_BYTES = 128 * 1024
MOST_PATTERNS = 50
MOST_PATTERN_CHARACTERS = 8192
"""Of all patterns of one schema together: to compile one is what costs most."""

MOST_WORK = 4_000_000_000
"""Bytes of a schema times characters of a value. A schema that applies thousands of rules to each of thousands of
items takes a second for so much (measured)."""

_PATTERN_MEMORY = 128 * 1024
"""Bytes for one compiled pattern."""

_SMALL = 8 * 1024
_SMALL_KEPT, _LARGE_KEPT = 512, 32
"""Compiled schemas that are kept, since clients send the same tools with every request: many that are small and have
no pattern, few others, so that no client can fill the memory with them."""


class UnusableSchema(ValueError):
    """A schema cannot be used; the message says why, as a whole sentence."""


class TooMuchWork(ValueError):
    """A value is too large to be judged by its schema."""


class Schema(Struct, frozen=True):
    """A compiled schema."""

    validator: Validator
    size: int
    """Bytes of JSON; of what it is with its references written out, if that is more."""

    def allows(self, value: Any, size: int = 0) -> bool:
        """Whether ``value``, which has ``size`` characters of JSON, conforms. What nests too deeply does not.

        Raises:
            TooMuchWork: The value is too large for this schema.
        """
        if self.size * size > MOST_WORK:
            raise TooMuchWork("a value is too large to be judged by its schema")
        try:
            return bool(self.validator.is_valid(value))
        except (ValueError, RecursionError):
            return False


def compiled(schema: dict[str, Any] | bool) -> Schema:
    """The schema, ready for use; mostly it is there already.

    Raises:
        UnusableSchema: It is no JSON Schema, is too large, or needs what is never done.
    """
    encoded = msgspec.json.encode(schema, order="deterministic")
    small = len(encoded) <= _SMALL and b'"pattern' not in encoded
    found = _small(encoded) if small else _large(encoded)
    if isinstance(found, str):
        raise UnusableSchema(found)
    return found


def _compiled(encoded: bytes) -> Schema | str:
    """The schema, or what is wrong with it."""
    if len(encoded) > MOST_BYTES:
        return f"The schema has more than {MOST_BYTES} bytes."
    schema = msgspec.json.decode(encoded)
    patterns = list(_patterns(schema))
    if len(patterns) > MOST_PATTERNS or sum(map(len, patterns)) > MOST_PATTERN_CHARACTERS:
        return f"The schema has more than {MOST_PATTERNS} patterns, or {MOST_PATTERN_CHARACTERS} characters of them."
    import jsonschema_rs  # only requests with tools or a schema pay for it

    options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_MEMORY, dfa_size_limit=_PATTERN_MEMORY)
    try:
        validator = jsonschema_rs.validator_for(schema, offline=True, validate_formats=False, pattern_options=options)
        size = written_out(schema) if _multiplies(encoded) else 0
        return Schema(validator, max(size, len(encoded)))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError, RecursionError):
        return (
            "The schema cannot be used: it is not JSON Schema, has a reference that is no pointer (#/…) into "
            "itself, or a pattern with look-around, a back reference or too many repetitions."
        )


_small = lru_cache(maxsize=_SMALL_KEPT)(_compiled)
_large = lru_cache(maxsize=_LARGE_KEPT)(_compiled)


def _multiplies(encoded: bytes) -> bool:
    return any(word in encoded for word in (b'"$ref', b'"$dynamicRef', b'"$recursiveRef', b'"unevaluated'))


def _patterns(schema: Any) -> Iterator[str]:
    """Every pattern in a schema, and whatever looks like one."""
    pending = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            if isinstance(node.get("pattern"), str):
                yield node["pattern"]
            if isinstance(node.get("patternProperties"), dict):
                yield from node["patternProperties"]
