"""Segments: the sealed events of one checkpoint in one object, for reading them fast.

A segment holds the records' own bytes, one a line, in the order of the checkpoint's manifest. Canonical
JSON has no line breaks, so nothing is escaped. Its name ends in the checkpoint's root: what a sealer
wrote that was killed, or outrun by another, is never taken for a checkpoint's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.stores.objects import ObjectStore

PREFIX = "segments/"


def object_name(number: int, root: str) -> str:
    """Where the segment of a checkpoint is stored."""
    return f"{PREFIX}{number:016d}-{root[:16]}.jsonl"


def write_segment(objects: ObjectStore, number: int, root: str, records: Sequence[bytes]) -> None:
    """Store the events of a checkpoint; storing them again does nothing."""
    objects.create(object_name(number, root), b"\n".join(records))


def read_segment(objects: ObjectStore, number: int, root: str) -> list[bytes] | None:
    """The events of a checkpoint; None where there is no segment of it."""
    data = objects.read(object_name(number, root))
    if data is None:
        return None
    return data.split(b"\n") if data else []
