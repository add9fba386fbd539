"""From a record of the trail to its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.audit.record import Record
from shared.errors import BadRequest
from shared.policy.prices import cost_of
from shared.policy.types import ModelAlias
from shared.warehouse.columns import COMMON, EVENT, FINDING, Column, Type

Value = str | int | float | bool
Row = Mapping[str, Value]
"""A value for each column that is not empty."""

MAX_FINDINGS = 64
"""As many as an event lists."""

_MAX_TEXT = 1024
"""Longer than any text that a writer puts into an attribute."""

_FINDINGS = "wardgate.findings"


def rows_of(record: Record, models: Mapping[str, ModelAlias]) -> Sequence[Row]:
    """The rows of one event: its own first, then one for each finding.

    Args:
        record: An event of any type.
        models: Say what tokens cost.

    Raises:
        BadRequest: An attribute is not of its column's type.
    """
    place: dict[str, Value] = {
        "day": record.time[:10],
        "time": record.time,
        "chain_uid": record.chain_uid,
        "seq": record.seq,
    }
    head = {"type": record.type, "source": record.source, "fingerprint": record.fingerprint}
    common = {**place, **head, **_values(COMMON, record.attributes)}
    event = {**common, "finding": 0, **_values(EVENT, record.attributes)}
    if (cost := _cost(event, models)) is not None:
        event["cost"] = cost
    findings = record.attributes.get(_FINDINGS, [])
    if not isinstance(findings, list) or len(findings) > MAX_FINDINGS:
        raise _malformed(_FINDINGS)
    return [event, *({**common, "finding": number, **_finding(each)} for number, each in enumerate(findings, 1))]


def _finding(finding: Any) -> dict[str, Value]:
    if not isinstance(finding, dict):
        raise _malformed(_FINDINGS)
    return _values(FINDING, finding)


def _values(columns: Sequence[Column], attributes: Mapping[str, Any]) -> dict[str, Value]:
    return {
        column.name: _value(column.type, attributes[column.attribute], column.attribute)
        for column in columns
        if column.attribute is not None and attributes.get(column.attribute) is not None
    }


def _value(kind: Type, value: Any, attribute: str) -> Value:
    """The value as its column takes it."""
    try:
        match kind:
            case "STRING" if type(value) is str and len(value) <= _MAX_TEXT:
                return value
            case "INTEGER" if type(value) is int:
                return value
            case "BOOLEAN" if type(value) is bool:
                return value
            case "FLOAT" if type(value) is str:  # canonical JSON holds no floats
                return float(value)
            case "TIMESTAMP" if type(value) is str:
                datetime.fromisoformat(value)
                return value
    except ValueError:
        pass
    raise _malformed(attribute)


def _cost(event: Mapping[str, Value], models: Mapping[str, ModelAlias]) -> int | None:
    model, prompt, answer = (event.get(name) for name in ("model", "input_tokens", "output_tokens"))
    alias = models.get(str(model))
    if alias is None or alias.price is None or not isinstance(prompt, int) or not isinstance(answer, int):
        return None
    return cost_of(alias.price, prompt, answer)


def _malformed(attribute: str) -> BadRequest:
    return BadRequest(f"The record's attribute {attribute} is malformed.", code="malformed_event")
