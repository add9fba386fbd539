"""Stores each audit event once, by its place in its chain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from shared.audit.delivery import read_delivered
from shared.audit.record import Record
from shared.errors import Conflict
from shared.stores.objects import ObjectStore
from shared.web.log import log

PREFIX = "archive/"


def object_name(record: Record) -> str:
    """Where a record is stored: ``archive/2026/11/23/<chain>/<seq>.json``, by the day it was written."""
    return f"{day_prefix(date.fromisoformat(record.time[:10]))}{record.chain_uid}/{record.seq:016d}.json"


def day_prefix(day: date) -> str:
    """Start of the names of a day's records."""
    return f"{PREFIX}{day:%Y/%m/%d}/"


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
