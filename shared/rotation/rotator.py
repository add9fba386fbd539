"""Rotates one secret at a time, and rolls one back."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import PreconditionFailed, SecretNotFound, StoreUnavailable
from shared.rotation.journal import Busy, Fenced, Journal, JournalUnavailable, Log
from shared.rotation.machine import SCHEDULE, SECOND, Order
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import Renewal, RotationRecord, State
from shared.rotation.schedule import read_record
from shared.rotation.turn import Result, Turn
from shared.stores.documents import DocumentStore
from shared.stores.secrets import SecretStore
from shared.web.log import log

Tell = Callable[[str, str, str], object]
"""Tells the audit trail what was done to a secret: the action, the secret's name and what there is to say of it. Raises
``StoreUnavailable``."""

ROLLBACK_PAUSE_SECONDS = 86_400
"""After a rollback people get a day to see what was wrong before the next rotation begins by itself."""


_OF_A_DRIVER = (
    *("state", "since", "current", "previous", "pending", "floor", "tries", "urgent", "retired", "failures"),
    *("retry_at", "begin_at", "last_failure", "retained", "discarded", "labelled"),
)
"""Fields of the record that mean nothing without a driver."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one call did for one secret."""

    secret: str
    result: Result
    state: State | None = None
    generation: int | None = None
    until: int | None = None
    """When there is something to do next, in nanoseconds since the Unix epoch."""

    unrecorded: bool = False
    """It was renewed, now or before, and the audit trail did not take the event."""


class Rotator:
    """Rotates secrets. Any number of processes may do so at once."""

    def __init__(
        self,
        store: SecretStore,
        documents: DocumentStore,
        clock: Clock,
        log: Log = log,
        *,
        tell: Tell | None = None,
        alone: bool = False,
        chance: random.Random | None = None,
    ) -> None:
        """
        Args:
            store: Where the secrets are.
            documents: Where their rotation documents are.
            clock: Judges leases.
            log: Writes a line, as ``shared.web.log.log`` does.
            tell: Told of what was renewed and not of what was made for the first time. Afterwards, since rotation must
                not wait for the trail; what it did not take, or who died before it did, is told by a later tick. One
                who dies between the telling and noting that has it told twice. None: a later tick has one.
            alone: Whoever holds a lease is known to be gone, so it is not waited for.
            chance: Spreads the times of retries.
        """
        self._store = store
        self._documents = documents
        self._clock = clock
        self._log = log
        self._tell = tell
        self._alone = alone
        self._chance = chance or random.SystemRandom()

    def tick(self, secret: ManagedSecret, order: Order = SCHEDULE) -> Tick:
        """Take a secret as far as it goes now. Called by the schedule, by messages and by people alike; a call
        that was cut short, repeated or made twice at once does no harm."""
        try:
            journal = Journal(secret.name, self._documents, self._clock, self._log, alone=self._alone)
        except Busy:
            return Tick(secret.name, "busy")
        except JournalUnavailable:
            return Tick(secret.name, "unavailable")
        try:
            result, until = Turn(journal, secret, self._store, order, self._chance).run()
            is_told = self._tell_renewals(journal)
        except Fenced:
            journal.log("WARNING", "fenced")
            return Tick(secret.name, "busy")
        except JournalUnavailable:
            return Tick(secret.name, "unavailable")
        journal.release()
        record = journal.record
        return Tick(secret.name, result, record.state, record.generation, until, unrecorded=not is_told)

    def _tell_renewals(self, journal: Journal) -> bool:
        """Tell the audit trail what it does not know yet, while the secret is held; whether it knows all then."""
        while self._tell is not None and journal.record.untold:
            renewal, *later = journal.record.untold
            try:
                self._tell("rotate.renew", journal.name, _said(renewal))
            except StoreUnavailable as error:
                journal.log("ERROR", "unrecorded", error=type(error).__name__)
                return False
            journal.save(untold=tuple(later))
        return True

    def rollback(self, secret: ManagedSecret) -> Tick:
        """Make the previous version current again; the one that was current gets a grace period of its own.

        Raises:
            RollbackRefused: There is nothing to roll back to.
            Busy: Somebody else is at work on this secret.
            StoreUnavailable: A store does not answer.
        """
        journal = Journal(secret.name, self._documents, self._clock, self._log)
        try:
            _roll_back(journal, secret, self._store)
        finally:
            journal.release()
        return Tick(secret.name, "promoted", journal.record.state, journal.record.generation)

    def hand_over(self, name: str) -> None:
        """Leave a secret to people, since no driver makes its versions any more: from now on readers use its newest
        enabled version, as if rotation had never had it. Where rotation never had it, nothing is done.

        Raises:
            StoreUnavailable: The document store does not answer.
        """
        if read_record(self._documents, name).floor is None:
            return
        # Whoever is still at work on it goes first; the next run hands it over.
        with suppress(Busy, Fenced):
            self._hand_over(Journal(name, self._documents, self._clock, self._log))

    @staticmethod
    def _hand_over(journal: Journal) -> None:
        record = journal.record
        # Attempts stay known, so that a driver which comes back finds what they have left.
        fresh = RotationRecord()
        changes = {field: getattr(fresh, field) for field in _OF_A_DRIVER}
        told = "" if record.current is None else f"version {record.current.number}"
        journal.save("handed_over", told, severity="WARNING", **changes)
        journal.release()


def _said(renewal: Renewal) -> str:
    return f"generation {renewal.generation}" + (", without a grace period" if renewal.urgent else "")


class RollbackRefused(PreconditionFailed):
    """There is nothing to roll back to."""


def _roll_back(journal: Journal, secret: ManagedSecret, store: SecretStore) -> None:
    record, now = journal.record, journal.now()
    over = record.since + secret.timing.grace * SECOND
    if record.state != "PROMOTED" or record.previous is None or record.urgent or now >= over:
        raise RollbackRefused(f"'{secret.name}' is not in a grace period, so there is nothing to roll back to.")
    try:
        store.access(secret.name, record.previous.number)
    except (PreconditionFailed, SecretNotFound) as error:
        raise RollbackRefused(
            f"Version {record.previous.number} of '{secret.name}' cannot be read; enable it first."
        ) from error
    journal.save(
        "rolled_back",
        f"version {record.previous.number}",
        severity="WARNING",
        since=now,
        generation=record.generation + 1,
        current=record.previous,
        previous=record.current,
        begin_at=now + ROLLBACK_PAUSE_SECONDS * SECOND,
    )
