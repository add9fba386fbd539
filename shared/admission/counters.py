"""Where the counts lie: the documents and fields of a limit, and the changes of one commit to them.

One document for each subject (key, user, tenant, everyone), window length and epoch::

    admission/<hash>  { c: { <limit>_<bucket>: n, … }, seq: n, expires_at: … }

The window's length is part of a document's identity because a document lives for some windows: the
buckets of a short window beside a long one would pile up in idle hours, when nobody removes them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from shared.admission.windows import Window
from shared.identity.caller import Caller
from shared.policy.types import RateLimit
from shared.stores.documents import Write

COLLECTION = "admission"
SEQ = "seq"

_SECOND = 1_000_000_000
_NAMED_RANGES = 64


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount in one bucket."""

    path: str
    field: str
    amount: int
    leaves: int
    """When the bucket stops counting, in nanoseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Fields of one document, in order."""

    path: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one limit puts into a commit."""

    charge: Charge
    reads: tuple[Cells, ...]
    """Where the counts of ``window.reads`` will be found, oldest first."""


class Counter:
    """One limit of the policy, as it counts one subject."""

    __slots__ = ("_fields", "limit", "subject", "window")

    def __init__(self, limit: RateLimit, window: Window, fields: Fields, subject: str) -> None:
        self.limit = limit
        self.window = window
        self.subject = subject
        self._fields = fields

    def enter(self, now: int, amount: int, changes: Changes, *, clean: bool) -> Entry:
        """Charge ``amount`` at ``now``, and read every bucket that decides on it.

        Args:
            now: Nanoseconds since the Unix epoch.
            amount: What is charged.
            changes: Gathers it.
            clean: Also remove buckets that nobody reads any more.
        """
        window = self.window
        bucket = window.bucket(now)
        reads = window.reads(bucket)
        current = window.epoch(bucket)
        cells = []
        for epoch in range(window.epoch(reads.start), window.epoch(reads.stop - 1) + 1):  # mostly one, at most two
            inside = range(max(reads.start, window.epoch_start(epoch)), min(reads.stop, window.epoch_start(epoch + 1)))
            part = Cells(document(self.limit.per, self.subject, window, epoch), self._fields.of(inside))
            cells.append(part)
            changes.keep(part.path, window.epoch_expires(epoch))
            changes.read(part.path, part.fields)
            if epoch == current:
                charge = Charge(part.path, part.fields[bucket - inside.start], amount, window.leaves(bucket))
                changes.add(charge.path, charge.field, amount)
                if clean:
                    changes.remove(part.path, self._fields.of(window.stale(bucket)))
        return Entry(charge, tuple(cells))


class Fields:
    """Names of a limit's fields. Those of a range are made once, since requests ask for the same ones for seconds."""

    def __init__(self, limit: RateLimit) -> None:
        # A hash: a limit's name may hold characters that a field's path cannot.
        digest = hashlib.sha256(f"{limit.kind}\0{limit.name}".encode()).hexdigest()
        self._prefix = f"c.n{digest[:12]}_"
        self._made: dict[range, tuple[str, ...]] = {}

    def of(self, buckets: range) -> tuple[str, ...]:
        """The names of these buckets' fields."""
        names = self._made.get(buckets)
        if names is None:
            if len(self._made) >= _NAMED_RANGES:
                self._made = {}
            names = self._made[buckets] = tuple(f"{self._prefix}{bucket}" for bucket in buckets)
        return names


def subject_of(limit: RateLimit, caller: Caller) -> str | None:
    """Whom ``limit`` counts for this caller; None where it does not apply to it."""
    match limit.per:
        case "key":
            return caller.key_id
        case "user":
            return None if caller.user is None else f"{caller.tenant}\0{caller.user}"
        case "tenant":
            return caller.tenant
        case _:
            return ""


@lru_cache(maxsize=4096)
def document(scope: str, subject: str, window: Window, epoch: int) -> str:
    """Path of a document of counts. Its id does not show whose it is."""
    identity = "\0".join((scope, subject, epoch_name(window, epoch)))
    return f"{COLLECTION}/{hashlib.sha256(identity.encode()).hexdigest()[:40]}"


def epoch_name(window: Window, epoch: int) -> str:
    """An epoch by name: its window's seconds and buckets, and its number."""
    return f"{window.length // _SECOND}.{window.buckets}-{epoch}"


class Changes:
    """The changes of one commit, gathered by document."""

    def __init__(self) -> None:
        self._increments: dict[str, dict[str, int]] = {}
        self._removals: dict[str, tuple[str, ...]] = {}
        self._expires: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._increments)

    def read(self, path: str, fields: tuple[str, ...]) -> None:
        """Read fields that no limit reads otherwise."""
        self._increments.setdefault(path, {}).update(dict.fromkeys(fields, 0))

    def add(self, path: str, field: str, amount: int) -> None:
        """Add ``amount`` to a field and read it."""
        increments = self._increments.setdefault(path, {})
        increments[field] = increments.get(field, 0) + amount

    def remove(self, path: str, fields: tuple[str, ...]) -> None:
        """Remove fields."""
        self._removals[path] = self._removals.get(path, ()) + fields

    def keep(self, path: str, expires: int) -> None:
        """Let the document live until ``expires``, in nanoseconds since the Unix epoch."""
        self._expires[path] = expires

    def writes(self) -> dict[str, Write]:
        """One write for each document, by its path."""
        return {
            path: Write(
                path,
                fields={"expires_at": datetime.fromtimestamp(self._expires[path] // _SECOND, UTC)}
                if path in self._expires
                else {},
                remove=self._removals.get(path, ()),
                increments=increments,
            )
            for path, increments in self._increments.items()
        }
