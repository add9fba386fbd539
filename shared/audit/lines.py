"""Facts as lines of fixed form, so that any number of them can be sorted and compared in bounded memory.

Of a chain's place there may be two kinds of facts, which sort by chain, number and kind::

    chain (32)  number (16 hex)  0  fingerprint (64)                                  it was sealed
    chain (32)  number (16 hex)  1  fingerprint (64)  previous (64)  time (27)  flag  started (16)   it is there

Of a key's admission numbers there are three, which sort by key, epoch, kind and number::

    key TAB     TAB 0 time                        a charge of unknown outcome
    key TAB epoch TAB 1 number (16 hex) time      an event has it
    key TAB epoch TAB 2 number (16 hex) time flag   it was the last, when a checkpoint was made
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct, field

from shared.audit.record import (
    CHAIN_CLOSE,
    CHAIN_OPEN,
    INTERACTION,
    INTERACTION_STARTED,
    MAX_RECORD_BYTES,
    MAX_SEQ,
    EventType,
    Hash,
    MalformedRecord,
)

OPENS, CLOSES, STARTS, ENDS, OTHER = "o", "c", "s", "e", "x"
"""What an event does to its chain, or to a stream in it."""

_FLAGS = {CHAIN_OPEN: OPENS, CHAIN_CLOSE: CLOSES, INTERACTION_STARTED: STARTS, INTERACTION: ENDS}
_NONE = "-" * 16
_FINGERPRINT = b',"fingerprint":"'
_PIECE = len(_FINGERPRINT) + 65
_NEXT = b',"id":"'

Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class _Attributes(Struct):
    key_id: str | None = field(default=None, name="wardgate.key.id")
    admission_seq: Seq | None = field(default=None, name="wardgate.admission.seq")
    admission_epoch: str | None = field(default=None, name="wardgate.admission.epoch")
    admission_unknown: Any = field(default=None, name="wardgate.admission.unknown")
    started: Seq | None = field(default=None, name="wardgate.started.seq")


class Outline(Struct):
    """What verification needs of a record."""

    type: EventType
    time: Annotated[
        str, Meta(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z\Z")
    ]
    chain_uid: str
    seq: Seq
    prev_event: Hash
    attributes: _Attributes
    fingerprint: str


_decode = msgspec.json.Decoder(Outline).decode


def read_outline(data: bytes) -> Outline:
    """Read what verification needs of a record, and judge nothing.

    Raises:
        MalformedRecord: It is no record.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise MalformedRecord("The record is too large.")
    try:
        return _decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise MalformedRecord("The data is not a record of the audit trail.") from None


def has_fingerprint(data: bytes, fingerprint: str) -> bool:
    """Whether bytes are those of the one record with this fingerprint, which is known from elsewhere.

    A fingerprint is SHA-256 over a record's canonical bytes without the member ``fingerprint``. So that
    member is cut out and the rest is hashed as it is. This suffices: bytes that give the same hash are, but for
    the member, those of the record that was fingerprinted, which the sealer has found canonical. And the member
    can stand nowhere else. Inside a string its quotes would have to be escaped; inside ``attributes`` the record
    would have no fingerprint of its own and not be read at all; and beside its other neighbours at the top level
    it is not accepted, since ``id`` must follow it.
    """
    at = data.rfind(_FINGERPRINT)
    if at < 0 or not data.startswith(_NEXT, at + _PIECE):
        return False
    if data[at + len(_FINGERPRINT) : at + _PIECE - 1] != fingerprint.encode():
        return False
    return hashlib.sha256(data[:at] + data[at + _PIECE :]).hexdigest() == fingerprint


def sealed_line(chain_uid: str, seq: int, fingerprint: str) -> str:
    """That an event was sealed."""
    return f"{chain_uid}{seq:016x}0{fingerprint}"


def event_line(outline: Outline) -> str:
    """That an event is there. The outline's ``chain_uid`` and ``fingerprint`` must be of their form."""
    started = outline.attributes.started
    return (
        f"{outline.chain_uid}{outline.seq:016x}1{outline.fingerprint}{outline.prev_event}{outline.time}"
        f"{_FLAGS.get(outline.type, OTHER)}{_NONE if started is None else format(started, '016x')}"
    )


class EventFact(NamedTuple):
    """An ``event_line``, read."""

    fingerprint: str
    previous: str
    time: str
    flag: str
    started: int | None


def chain_of(line: str) -> str:
    """The chain of a fact."""
    return line[:32]


def seq_of(line: str) -> int:
    """The number of a fact."""
    return int(line[32:48], 16)


def is_seal(line: str) -> bool:
    """Whether the fact is that an event was sealed."""
    return line[48] == "0"


def sealed_fingerprint(line: str) -> str:
    """What a ``sealed_line`` says."""
    return line[49:113]


def read_event_line(line: str) -> EventFact:
    """What an ``event_line`` says."""
    started = line[205:]
    return EventFact(
        line[49:113], line[113:177], line[177:204], line[204], None if started == _NONE else int(started, 16)
    )


def number_lines(outline: Outline) -> list[str]:
    """What an event says about its key's admission numbers."""
    about = outline.attributes
    key, epoch, seq = about.key_id, about.admission_epoch, about.admission_seq
    if key is None or not _is_plain(key):
        return []
    lines = []
    if epoch and seq and _is_plain(epoch):
        lines.append(f"{key}\t{epoch}\t1{seq:016x}{outline.time}")
    if about.admission_unknown is not None:
        lines.append(f"{key}\t\t0{outline.time}")
    return lines


def last_number_line(key_id: str, epoch: str, last: int, time: str, *, final: bool) -> str:
    """What a checkpoint says about a key's admission numbers."""
    return f"{key_id}\t{epoch}\t2{last:016x}{time}{'f' if final else 'o'}"


def _is_plain(name: str) -> bool:
    return name.isascii() and name.isprintable()
