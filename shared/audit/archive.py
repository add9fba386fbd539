"""Stores each audit event once, by its place in its chain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from shared.audit.delivery import read_delivered
from shared.audit.record import Record
from shared.errors import Conflict
from shared.stores.objects import ObjectStore
from shared.web.log import log

PREFIX = "archive/"
_DAY = re.compile(r"archive/([0-9]{4})/([0-9]{2})/([0-9]{2})/")


def object_name(record: Record) -> str:
    """Where a record is stored: ``archive/2026/11/23/<chain>/<seq>.json``, by the day it was written."""
    return name_at(record.time[:10], record.chain_uid, record.seq)


def name_at(day: str, chain_uid: str, seq: int) -> str:
    """Where the record at a chain's place is stored, by its day, such as ``2026-11-23``."""
    return f"{day_prefix(date.fromisoformat(day))}{chain_uid}/{seq:016d}.json"


def day_prefix(day: date) -> str:
    """Start of the names of a day's records."""
    return f"{PREFIX}{day:%Y/%m/%d}/"


def day_of(name: str) -> str | None:
    """The day in an object's name, as ``2026-11-23``; None where it has none."""
    match = _DAY.match(name)
    return "-".join(match.groups()) if match else None


def is_in_place(record: Record, name: str) -> bool:
    """Whether the object's name is that of its record."""
    try:
        return object_name(record) == name
    except ValueError:  # a time that is no date
        return False


class Archive:
    """Takes events off the bus and keeps them for good."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def store(self, attributes: Mapping[str, str], data: bytes) -> None:
        """Store one event; storing it again does nothing.

        Args:
            attributes: The CloudEvent's context attributes.
            data: Its data, stored as it is.

        Raises:
            BadRequest: It is not a record of this trail, or the envelope is another event's.
            Conflict: Another event has this place in the chain; it stays.
            StoreUnavailable: The object store does not answer; the event must be sent again.
        """
        record = read_delivered(attributes, data)
        name = object_name(record)
        if not self._objects.create(name, data) and self._objects.read(name) != data:
            log("ERROR", "audit.conflict", chain_uid=record.chain_uid, seq=record.seq)
            raise Conflict("Another event has this place in its chain.", code="event_conflict")
