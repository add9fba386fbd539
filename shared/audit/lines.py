"""Facts as lines of fixed form, so that any number of them can be sorted and compared in bounded memory.

Of a chain's place there are three kinds of facts, which sort by chain, number and kind::

    chain (32)  number (16 hex)  0  fingerprint (64)                                                it was sealed
    chain (32)  number (16 hex)  1  fingerprint (64)  previous (64)  time (27)  flag  started (16)  it is there
    chain (32)  number (16 hex)  2  … as 1                                                          both at once

Of a key's admission numbers there are three, which sort by key, epoch, kind and number; names hold no space::

    key      0 time                            a charge of unknown outcome
    key epoch 1 number (16 hex) time           an event has it
    key epoch 2 number (16 hex) time flag      it was the last, when a checkpoint was made
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

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
    MalformedRecord,
)

OPENS, CLOSES, STARTS, ENDS, OTHER = "o", "c", "s", "e", "x"
"""What an event does to its chain, or to a stream in it."""

_FLAGS = {CHAIN_OPEN: OPENS, CHAIN_CLOSE: CLOSES, INTERACTION_STARTED: STARTS, INTERACTION: ENDS}
_NONE = "-" * 16
_EVENT_LINE = 221
_TIME = 27
_FINGERPRINT = b',"fingerprint":"'
_PIECE = len(_FINGERPRINT) + 65
_NEXT = b',"id":"'

Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class _Attributes(Struct, gc=False):
    key_id: str | None = field(default=None, name="wardgate.key.id")
    admission_seq: Seq | None = field(default=None, name="wardgate.admission.seq")
    admission_epoch: str | None = field(default=None, name="wardgate.admission.epoch")
    admission_unknown: Any = field(default=None, name="wardgate.admission.unknown")
    started: Seq | None = field(default=None, name="wardgate.started.seq")


class Outline(Struct, gc=False):
    """What verification needs of a record."""

    type: EventType
    time: str
    chain_uid: str
    seq: Seq
    prev_event: str
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


def event_line(outline: Outline, *, sealed: bool) -> str:
    """That an event is there; with ``sealed``, that it was sealed too, and is the one that was.

    Args:
        outline: Of it; that chain and fingerprint are of their form must have been checked.
        sealed: Whether it was compared with its seal.

    Raises:
        MalformedRecord: Its other members are not of their form, which would break that of the line.
    """
    started = outline.attributes.started
    line = (
        f"{outline.chain_uid}{outline.seq:016x}{'2' if sealed else '1'}{outline.fingerprint}{outline.prev_event}"
        f"{outline.time}{_FLAGS.get(outline.type, OTHER)}{_NONE if started is None else format(started, '016x')}"
    )
    # All in one go, since patterns on each member would take as long as all the rest of reading it.
    if len(line) != _EVENT_LINE or len(outline.time) != _TIME or "\n" in line:
        raise MalformedRecord("The data is not a record of the audit trail.")
    return line


def chain_of(line: str) -> str:
    """The chain of a fact."""
    return line[:32]


def seq_of(line: str) -> int:
    """The number of a fact."""
    return int(line[32:48], 16)


def kind_of(line: str) -> str:
    """``0`` sealed, ``1`` there, ``2`` both."""
    return line[48]


def fingerprint_of(line: str) -> str:
    """The fingerprint in a fact."""
    return line[49:113]


def previous_of(line: str) -> str:
    """The fingerprint of the record before, in a fact of kind 1 or 2; the next three likewise."""
    return line[113:177]


def time_of(line: str) -> str:
    """The event's time, RFC 3339."""
    return line[177:204]


def flag_of(line: str) -> str:
    """What the event does to its chain or to a stream."""
    return line[204]


def started_of(line: str) -> int | None:
    """The number of the event that began the stream which this one ends."""
    return None if line[205] == "-" else int(line[205:], 16)


def number_lines(outline: Outline) -> list[str]:
    """What an event says about its key's admission numbers."""
    about = outline.attributes
    lines = []
    if about.admission_seq and about.admission_epoch and about.key_id is not None:
        lines.append(f"{about.key_id} {about.admission_epoch} 1{about.admission_seq:016x}{outline.time}")
    if about.admission_unknown is not None and about.key_id is not None:
        lines.append(f"{about.key_id}  0{outline.time}")
    for line in lines:
        if line.count(" ") != 2 or "\n" in line:
            return []
    return lines


def last_number_line(key_id: str, epoch: str, last: int, time: str, *, final: bool) -> str:
    """What a checkpoint says about a key's admission numbers."""
    return f"{key_id} {epoch} 2{last:016x}{time}{'f' if final else 'o'}"
