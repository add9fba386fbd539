"""The numbers of admissions, for whoever checks them: the last one of a key in an epoch, and an epoch's time."""

from __future__ import annotations

import re
from datetime import date

from shared.admission.cells import SEQ, document
from shared.admission.windows import Day, Window, day_of
from shared.stores.documents import DocumentStore

_DAY = re.compile(r"([A-Za-z0-9_+/-]{1,64})\.([0-9]{4}-[0-9]{2}-[0-9]{2})")
_WINDOW = re.compile(r"([0-9]{1,9})\.([0-9]{1,2})-([0-9]{1,12})")
_SECOND = 1_000_000_000


def last_number(documents: DocumentStore, key_id: str, epoch: str) -> int | None:
    """The last number given out for a key in an epoch; None where its document is gone.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    found = documents.get(document("key", key_id, epoch))
    return int(found.fields.get(SEQ, 0)) if found is not None else None


def epoch_times(name: str) -> tuple[int, int] | None:
    """When an epoch begins and ends, in nanoseconds since the Unix epoch; None where the name is none."""
    if match := _WINDOW.fullmatch(name):
        length, buckets, number = int(match[1]) * _SECOND, int(match[2]), int(match[3])
        if not buckets or not length:
            return None
        window = Window(length, buckets, -(-length // buckets))
        return window.epoch_start(number) * window.width, window.epoch_start(number + 1) * window.width
    if match := _DAY.fullmatch(name):
        try:
            zone: Day = day_of(match[1])
            day = date.fromisoformat(match[2]).toordinal()
            return zone.leaves(day - 1), zone.leaves(day)
        except (ValueError, OverflowError):
            return None
    return None
