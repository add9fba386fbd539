"""What every sink asks of a message before it takes it: that it is a record of this trail, in its own envelope."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shared.audit.record import MalformedRecord, Record, read_record
from shared.errors import BadRequest

SOURCES = "//wardgate/"
"""How the source of every writer of the trail begins."""


def read_delivered(attributes: Mapping[str, str], data: bytes) -> Record:
    """The record that a message carries.

    Raises:
        BadRequest: It carries none (``malformed_event``), one of another trail (``foreign_event``), or its
            envelope is that of another record (``malformed_event``).
    """
    try:
        record = read_record(data)
        datetime.fromisoformat(record.time)
    except MalformedRecord as error:
        raise BadRequest(str(error), code="malformed_event") from None
    except ValueError:
        raise BadRequest("The record's time is no date.", code="malformed_event") from None
    if not record.source.startswith(SOURCES):
        raise BadRequest("The record's source is no part of Wardgate.", code="foreign_event")
    for attribute in ("id", "source", "type"):
        if attributes.get(attribute) != getattr(record, attribute):
            raise BadRequest(f"The envelope's {attribute} is not the record's.", code="malformed_event")
    return record
