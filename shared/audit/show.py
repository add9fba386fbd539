"""Reads the archived trail back: by time, filtered, as a table or as JSON lines.

Each record is shown with whether it is intact, that is, whether its fingerprint fits its content. Gaps
and links between records are the business of ``shared.audit.verify``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

import msgspec

from shared.audit.archive import PREFIX, day_prefix
from shared.audit.event import (
    ACTION,
    DECISION,
    DENIALS_COUNT,
    DENIALS_DECISION,
    DENIALS_ERROR,
    DENIALS_LIMIT,
    ERROR,
    FINDINGS,
    KEY_ID,
    MODEL,
    OPERATOR,
    REQUEST_ID,
    SUBJECT,
    TENANT,
    USER,
)
from shared.audit.port import Decision
from shared.audit.record import MalformedRecord, Record, is_intact, parse_record
from shared.audit.sorting import SortedLines
from shared.stores.objects import ObjectStore

_DAY_PREFIX_LENGTH = len("archive/2026/11/23/")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One archived object."""

    name: str
    record: Record | None
    """None where the object cannot be read as a record at all."""

    intact: bool


class UserTest(Protocol):
    """Says whether an event is some end user's, of whom the trail holds keyed hashes only."""

    def is_of(self, user_hmac: Any, attributes: Mapping[str, Any]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records to show; a field that is None lets everything pass."""

    since: datetime | None = None
    """The first moment, aware."""

    until: datetime | None = None
    """The first moment that is too late, aware."""

    key_id: str | None = None
    tenant: str | None = None
    decision: Decision | None = None
    """Of an interaction, or of requests that were counted only."""

    guard: str | None = None
    """Has a finding of this guard …"""

    kind: str | None = None
    """… of this kind."""

    request_id: str | None = None
    user: UserTest | None = None

    def accepts(self, record: Record) -> bool:
        """Whether the record is one of those asked for."""
        attributes = record.attributes
        user = attributes.get(USER)
        if self.user is not None and (user is None or not self.user.is_of(user, attributes)):
            return False
        exact = ((KEY_ID, self.key_id), (TENANT, self.tenant), (REQUEST_ID, self.request_id))
        return (
            (self.since is None or record.time >= _comparable(self.since))
            and (self.until is None or record.time < _comparable(self.until))
            and self.decision in (None, attributes.get(DECISION), attributes.get(DENIALS_DECISION))
            and all(wanted is None or attributes.get(name) == wanted for name, wanted in exact)
            and ((self.guard is None and self.kind is None) or any(map(self._finds, _findings(record))))
        )

    def _finds(self, finding: dict[str, Any]) -> bool:
        return self.guard in (None, finding.get("guard")) and self.kind in (None, finding.get("kind"))


def read_entries(
    objects: ObjectStore, wanted: Filter, *, newest_first: bool = True, limit: int | None = None
) -> Iterator[Entry]:
    """Records of the archive by time; those of the same moment by chain and place.

    An object that cannot be read as a record is given whatever the filter says, with its day's others:
    it may have been any of them. What matches is read twice, so that a day's records are not held in memory.

    Raises:
        StoreUnavailable: While iterating: the object store does not answer.
    """
    days = sorted({name[:_DAY_PREFIX_LENGTH] for name in objects.list(PREFIX)}, reverse=newest_first)
    first = day_prefix(wanted.since.astimezone(UTC).date()) if wanted.since else ""
    last = day_prefix(wanted.until.astimezone(UTC).date()) if wanted.until else "~"
    found = (
        entry
        for day in days
        if first <= day <= last
        for entry in _of_day(objects, day, wanted, newest_first=newest_first)
    )
    return islice(found, limit)


def _of_day(objects: ObjectStore, day: str, wanted: Filter, *, newest_first: bool) -> Iterator[Entry]:
    with SortedLines(reverse=newest_first) as matching:
        for name in objects.list(day):
            entry = _read(objects, name)
            if entry is not None and (entry.record is None or wanted.accepts(entry.record)):
                matching.add(_moment(entry))
        for line in matching:
            entry = _read(objects, line.rpartition("\t")[2])
            if entry is not None:
                yield entry


def _read(objects: ObjectStore, name: str) -> Entry | None:
    data = objects.read(name)
    if data is None:
        return None
    try:
        record = parse_record(data)
    except MalformedRecord:
        return Entry(name, None, intact=False)
    return Entry(name, record, is_intact(record, data))


def _moment(entry: Entry) -> str:
    """A line that sorts by time, chain and place, and ends in the object's name, which has no tab."""
    record = entry.record
    moment = f"{record.time}\t{record.chain_uid}\t{record.seq:016x}" if record else "\t\t"
    return f"{moment}\t{entry.name}"


def json_line(entry: Entry) -> str:
    """The record as one line of JSON, with ``intact``."""
    record = {"name": entry.name} if entry.record is None else msgspec.structs.asdict(entry.record)
    return json.dumps({**record, "intact": entry.intact}, separators=(",", ":"))


def table_lines(entries: Iterator[Entry]) -> Iterator[str]:
    """A heading, then one line for each record."""
    yield _line("TIME", "DECISION", "TENANT", "KEY", "MODEL", "REQUEST", "FINDINGS")
    for entry in entries:
        record = entry.record
        if record is None:
            yield f"{_printable(entry.name)}  UNREADABLE"
            continue
        of = record.attributes.get
        kinds = dict.fromkeys(f"{finding.get('guard')}/{finding.get('kind')}" for finding in _findings(record))
        done = [f"{of(ACTION)} {of(SUBJECT)} by {of(OPERATOR)}"] if of(ACTION) else []
        counted = [f"{of(DENIALS_COUNT)} requests"] if of(DENIALS_COUNT) else []
        why = [str(reason) for reason in (of(ERROR), of(DENIALS_LIMIT), of(DENIALS_ERROR)) if reason]
        notes = [*done, *counted, *kinds, *why, *([] if entry.intact else ["ALTERED"])]
        decision = of(DECISION) or of(DENIALS_DECISION) or record.type.removeprefix("wardgate.")
        yield _line(record.time, decision, of(TENANT), of(KEY_ID), of(MODEL), of(REQUEST_ID), " ".join(notes))


def _line(time: str, decision: Any, tenant: Any, key: Any, model: Any, request: Any, notes: str) -> str:
    cells = ((time, 27), (decision, 11), (tenant, 12), (key, 24), (model, 16), (request, 28), (notes, 0))
    return "  ".join(f"{_printable('-' if value is None else str(value)):<{width}}" for value, width in cells).rstrip()


def _printable(text: str) -> str:
    """Without what a terminal would obey: an archive may have been tampered with."""
    return _NOT_PRINTABLE.sub("?", text)


def _findings(record: Record) -> list[dict[str, Any]]:
    findings = record.attributes.get(FINDINGS)
    return [item for item in findings if isinstance(item, dict)] if isinstance(findings, list) else []


def _comparable(moment: datetime) -> str:
    """The moment in the form of the records' times, whose order as text is that of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
