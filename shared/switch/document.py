"""The switch's one document: which scopes are on, since when, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shared.errors import BadRequest
from shared.shapes import prepare
from shared.stores.documents import Document
from shared.switch.state import ALL, parse_scope

PATH = "switches/kill"


class Entry(msgspec.Struct, frozen=True):
    """A scope that is on."""

    scope: str
    since: datetime
    by: str
    """The operator."""

    reason: str | None = None
    until: datetime | None = None
    """When it goes off by itself; None: never."""

    def lasts(self, now: datetime) -> bool:
        """Whether it is still on."""
        return self.until is None or self.until > now


class _Fields(msgspec.Struct):
    on: list[Entry]


prepare(_Fields)


def scopes_on(document: Document | None, now: datetime) -> frozenset[str]:
    """The scopes that are on; none where there is no document, since nobody has ever used the switch.

    What cannot be understood counts as ``all``: somebody has stopped something, and it must not go on.
    """
    if document is None:
        return frozenset()
    entries = document.fields.get("on")
    if not isinstance(entries, list):
        return frozenset({ALL})
    return frozenset(_scope(entry) for entry in entries if not _is_over(entry, now))


def _is_over(entry: Any, now: datetime) -> bool:
    until = entry.get("until") if isinstance(entry, dict) else None
    return isinstance(until, datetime) and until <= now


def _scope(entry: Any) -> str:
    try:
        return parse_scope(str(entry["scope"]))
    except (BadRequest, KeyError, TypeError):
        return ALL


def read_entries(document: Document | None) -> list[Entry]:
    """Everything that is on or was until its time was over, with its circumstances.

    Raises:
        ValueError: The document is damaged.
    """
    if document is None:
        return []
    try:
        entries = msgspec.convert(dict(document.fields), _Fields).on
        for entry in entries:
            parse_scope(entry.scope)
    except (msgspec.ValidationError, BadRequest) as error:
        raise ValueError("the document is damaged") from error
    return entries


def fields_of(entries: Sequence[Entry]) -> Mapping[str, Any]:
    """The document's fields for these entries."""
    return {"on": [msgspec.structs.asdict(entry) for entry in entries]}
