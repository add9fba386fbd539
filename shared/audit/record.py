"""The audit record: its form, its canonical JSON and its fingerprint.

A record is one JSON object, published as a CloudEvent's data and archived as the same bytes::

    {"type", "id", "source", "time", "chain_uid", "seq", "prev_event", "attributes", "fingerprint"}

``fingerprint`` is SHA-256 over the canonical JSON of the record without it; ``prev_event`` is the
fingerprint of the chain's record before. Canonical is RFC 8785 over a subset that leaves nothing to
interpret: objects with ASCII names, lists, strings, booleans, null and integers that a double holds
exactly. There are no floats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import WardgateError
from shared.shapes import prepare
from shared.stores.events import Event

EventType = Literal[
    "wardgate.chain.open",
    "wardgate.chain.close",
    "wardgate.interaction.started",
    "wardgate.interaction",
    "wardgate.operation",
    "wardgate.denials",
]
CHAIN_OPEN: EventType = "wardgate.chain.open"
CHAIN_CLOSE: EventType = "wardgate.chain.close"
INTERACTION_STARTED: EventType = "wardgate.interaction.started"
"""A streamed answer is about to begin; the ``wardgate.interaction`` of its end names this record."""
INTERACTION: EventType = "wardgate.interaction"
OPERATION: EventType = "wardgate.operation"
DENIALS: EventType = "wardgate.denials"
"""Requests that one process turned away by itself, counted."""

GENESIS = "0" * 64
"""``prev_event`` of a chain's first record."""

MAX_RECORD_BYTES = 256 * 1024
MAX_SEQ = 2**53 - 1

_SECOND = 1_000_000_000

_encode = msgspec.json.Encoder(order="sorted").encode

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of a chain, as it is stored."""

    type: EventType
    id: Annotated[str, Meta(max_length=64)]
    source: Annotated[str, Meta(min_length=1, max_length=256)]
    time: Annotated[
        str, Meta(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z\Z")
    ]
    chain_uid: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    seq: Annotated[int, Meta(ge=0, le=MAX_SEQ)]
    prev_event: Hash
    attributes: dict[str, Any]
    fingerprint: Hash


prepare(Record)


class MalformedRecord(WardgateError):
    """Not a record of the audit trail. The message never repeats what was read."""


class Sealed(Struct, frozen=True):
    """A record that is ready to be published."""

    event: Event
    seq: int
    fingerprint: str
    previous: str
    """The fingerprint of the chain's record before."""


def seal(
    type_: EventType,
    attributes: Mapping[str, Any] | msgspec.Struct | msgspec.Raw,
    *,
    source: str,
    time: int,
    chain_uid: str,
    seq: int,
    prev_event: str,
) -> Sealed:
    """Make the record at one place of a chain.

    Args:
        attributes: As names and values, as one of the types in ``shared.audit.event``, or as ``encode`` made it.
        time: Nanoseconds since the Unix epoch.
    """
    encoded = attributes if isinstance(attributes, msgspec.Raw) else encode(attributes)
    moment, identifier = timestamp(time), f"{chain_uid}/{seq}"
    # Canonical JSON by hand: the names are in their order, and the fingerprint has its place between two of them.
    head = b'{"attributes":%b,"chain_uid":"%b",' % (encoded, chain_uid.encode())
    tail = b'"id":"%b","prev_event":"%b","seq":%d,"source":%b,"time":"%b","type":"%b"}' % (
        identifier.encode(),
        prev_event.encode(),
        seq,
        _encode(source),
        moment.encode(),
        type_.encode(),
    )
    fingerprint = hashlib.sha256(head + tail).hexdigest()
    data = b'%b"fingerprint":"%b",%b' % (head, fingerprint.encode(), tail)
    return Sealed(Event(identifier, source, type_, moment, data), seq, fingerprint, prev_event)


def encode(attributes: Mapping[str, Any] | msgspec.Struct) -> msgspec.Raw:
    """The canonical JSON of a record's attributes, for ``seal``.

    The types in ``shared.audit.event`` hold nothing that canonical JSON does not, so only a mapping is checked.

    Raises:
        TypeError: As ``canonical``.
        ValueError: As ``canonical``.
    """
    return msgspec.Raw(_encode(attributes) if isinstance(attributes, msgspec.Struct) else canonical(attributes))


def read_record(data: bytes) -> Record:
    """Read a record and check that it is what a writer of this trail would have written.

    Raises:
        MalformedRecord: It is not, or its fingerprint is not that of its content.
    """
    record = parse_record(data)
    if not is_intact(record, data):
        raise MalformedRecord("The record's fingerprint is not that of its content.")
    return record


def event_of(data: bytes) -> Event:
    """The event that carries a record. Raises as ``read_record`` does."""
    record = read_record(data)
    return Event(record.id, record.source, record.type, record.time, data)


def parse_record(data: bytes) -> Record:
    """Read a record without judging its fingerprint.

    Raises:
        MalformedRecord: It is too large, or not of a record's form.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise MalformedRecord("The record is too large.")
    try:
        return msgspec.json.decode(data, type=Record)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise MalformedRecord("The data is not a record of the audit trail.") from None


def is_intact(record: Record, data: bytes) -> bool:
    """Whether ``data`` is the canonical form of ``record`` and its id and fingerprint are right."""
    content = msgspec.structs.asdict(record)
    try:
        if canonical(content) != data:
            return False
        fingerprint = content.pop("fingerprint")
        fits = hashlib.sha256(canonical(content)).hexdigest() == fingerprint
    except (TypeError, ValueError, RecursionError):
        return False
    return fits and record.id == f"{record.chain_uid}/{record.seq}"


def canonical(value: Any) -> bytes:
    """Canonical JSON.

    Raises:
        TypeError: It holds something else than the subset above, such as a float.
        ValueError: An integer or a name is outside of it, or a string is not Unicode.
    """
    _check(value)
    return _encode(value)


def _check(value: Any) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -MAX_SEQ <= value <= MAX_SEQ:
            raise ValueError("An integer is larger than a double holds exactly.")
    elif kind is dict:
        for name, item in value.items():
            if type(name) is not str or not name.isascii():
                raise ValueError("A name is not ASCII.")
            _check(item)
    elif kind is list:
        for item in value:
            _check(item)
    else:
        raise TypeError(f"A record holds no {kind.__name__}.")


def timestamp(time: int) -> str:
    """RFC 3339 in UTC, to the microsecond.

    Args:
        time: Nanoseconds since the Unix epoch.
    """
    whole, fraction = divmod(time, _SECOND)
    return f"{_to_the_second(whole)}.{fraction // 1000:06d}Z"


@lru_cache(maxsize=16)
def _to_the_second(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()[:19]
