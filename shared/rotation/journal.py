"""One holder's hold on a rotation document: a lease, and writes that fail once somebody else has written.

Safety rests on the writes alone: each is conditional on the document's update time, so whoever was paused
past its lease is fenced off by the first write of its successor. The lease only keeps two from working at
the same time. Whether a lease has run out is judged by the local clock, which may be wrong at the price of
wasted work; all other times are the document store's own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from shared.clock import Clock
from shared.errors import PreconditionFailed, StoreError, StoreUnavailable, WardgateError
from shared.rotation.machine import SECOND
from shared.rotation.record import MOST_ENTRIES, Entry, RotationRecord, from_fields, to_fields
from shared.stores.documents import DocumentStore, Write
from shared.stores.secret_pointer import pointer_path
from shared.web.log import Severity, log

LEASE_SECONDS = 120
"""Longer than the longest way between two writes: two calls of a driver and some of the secret store."""


Log = Callable[..., None]
"""Writes one structured line: ``shared.web.log.log``, or what takes its place."""


class Busy(WardgateError):
    """Somebody else is at work on this secret."""


class Fenced(WardgateError):
    """Somebody else has taken over: what was about to be done must not be done any more."""


class JournalUnavailable(StoreUnavailable):
    """The document store does not answer, so nothing may go on; whether the last write took effect is unknown."""


class Journal:
    """The document of one secret, held. Not thread-safe.

    Attributes:
        record: As last written.
    """

    def __init__(
        self,
        name: str,
        documents: DocumentStore,
        clock: Clock,
        log: Log = log,
        *,
        alone: bool = False,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Take the lease.

        Args:
            name: The secret.
            documents: Where the document is.
            clock: Judges other holders' leases.
            log: Writes a line, as ``shared.web.log.log`` does.
            alone: Whoever holds a lease is known to be gone. A wrong guess costs work, and nothing else.
            monotonic: Nanoseconds from any start, never backwards.

        Raises:
            Busy: Somebody else holds it.
            JournalUnavailable: The document store does not answer.
        """
        self.name = name
        self._documents = documents
        self._log = log
        self._monotonic = monotonic
        self._path = pointer_path(name)
        self._owner = uuid.uuid4().hex
        self._store_time, self._read_at = 0, monotonic()
        self.record, self._updated_at = self._read()
        if self.record.lease_owner is not None and not alone and clock.time_ns() < self.record.lease_until:
            raise Busy(f"Somebody else is rotating '{name}'.")
        try:
            # The store's own time is known only after this write; the next one sets the lease by it.
            taken = {"fence": self.record.fence + 1, "lease_until": clock.time_ns() + LEASE_SECONDS * SECOND}
            self._write(self.record, **taken)
        except Fenced as error:
            raise Busy(f"Somebody else has just begun to rotate '{name}'.") from error

    def now(self) -> int:
        """The document store's time, in nanoseconds since the Unix epoch; never goes back."""
        return self._store_time + self._monotonic() - self._read_at

    def save(
        self, event: str | None = None, detail: str = "", *, severity: Severity = "INFO", **changes: object
    ) -> None:
        """Change the record and prolong the lease.

        Args:
            event: Written into the history and, as ``rotation.<event>``, to the log.
            detail: Names, numbers and codes; never a value.
            severity: Of the log line.
            **changes: Fields of ``RotationRecord``.

        Raises:
            Fenced: Somebody else has taken over; nothing was written.
            JournalUnavailable: The document store does not answer.
        """
        record = msgspec.structs.replace(self.record, **changes)
        if event is not None:
            entry = Entry(self.now(), event, record.generation, detail)
            record = msgspec.structs.replace(record, history=(*record.history, entry)[-MOST_ENTRIES:])
        self._write(record, lease_until=self.now() + LEASE_SECONDS * SECOND)
        if event is not None:
            self.log(severity, event, detail=detail or None)

    def log(self, severity: Severity, event: str, **fields: str | int | None) -> None:
        """Write a log line about this secret."""
        record = self.record
        known = {"secret": self.name, "state": record.state, "generation": record.generation, "fence": record.fence}
        self._log(severity, f"rotation.{event}", **known, **fields)

    def release(self) -> None:
        """Give the lease back; where that fails it runs out by itself."""
        try:
            self._write(self.record, lease_owner=None, lease_until=0)
        except (Fenced, StoreError):
            self.log("WARNING", "lease_left")

    def _read(self) -> tuple[RotationRecord, int | None]:
        try:
            document = self._documents.get(self._path)
        except StoreError as error:
            raise JournalUnavailable("The rotation document cannot be read.") from error
        return (RotationRecord(), None) if document is None else (from_fields(document.fields), document.updated_at)

    def _write(self, record: RotationRecord, **lease: Any) -> None:
        record = msgspec.structs.replace(record, **{"lease_owner": self._owner, **lease})
        write = Write(
            self._path,
            to_fields(record),
            replace=True,
            exists=False if self._updated_at is None else None,
            updated_at=self._updated_at,
        )
        try:
            done = self._documents.commit([write])
        except PreconditionFailed as error:
            raise Fenced(f"Somebody else has taken over the rotation of '{self.name}'.") from error
        except StoreError as error:
            raise JournalUnavailable("The rotation document cannot be written.") from error
        self.record, self._updated_at = record, done.results[0].updated_at
        # Never back: what has just been dated must not lie in the future.
        self._store_time, self._read_at = max(done.commit_time, self.now()), self._monotonic()
