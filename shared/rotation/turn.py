"""One holder's turn with one secret: does what the state machine says until it says to wait."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from shared.errors import PreconditionFailed, SecretNotFound, StoreError
from shared.rotation.attempts import attempt_id
from shared.rotation.drivers.port import DriverError, KeyNotAccepted, ProviderRefused, ProviderUnavailable
from shared.rotation.journal import Journal, JournalUnavailable
from shared.rotation.machine import LONGEST_BACKOFF_SECONDS, SCHEDULE, SECOND, Move, Order, Wait, backoff, next_move
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import (
    MOST_ATTEMPTS,
    MOST_PUBLIC_KEYS,
    MOST_UNTOLD,
    HeldVersion,
    Renewal,
    RotationRecord,
    SetAside,
    State,
)
from shared.rotation.sweep import sweep
from shared.rotation.takeover import take_over
from shared.stores.secret_pointer import PublicKey
from shared.stores.secrets import SecretStore
from shared.web.log import Severity

Result = Literal[
    "promoted",  # a new version is current
    "aborted",  # the new version was given up; the current one stays
    "failed",  # something did not answer or refused; tried again later
    "nothing_enabled",  # somebody has disabled every version: rotation does not decide against that by itself
    "busy",  # somebody else is at work, or has just taken over
    "unavailable",  # the document store does not answer
    "not_due", "cannot_mint", "backoff", "publishing", "in_grace", "baking",
]  # fmt: skip
"""How a tick ended; those of the last line are what it waits for."""

_FIRST_GENERATION = 1
"""It renews nothing."""


class Turn:
    """One holder's turn with one secret."""

    def __init__(
        self, journal: Journal, secret: ManagedSecret, store: SecretStore, order: Order, chance: random.Random
    ) -> None:
        self._journal = journal
        self._secret = secret
        self._store = store
        # An order from a clock that is ahead must not ask for more than what there is now.
        before = None if order.before is None else min(order.before, journal.now())
        self._order = Order(before, order.urgent)
        self._chance = chance
        self._moves: dict[Move, Callable[[], None]] = {
            "begin": self._begin,
            "mint": self._mint,
            "test": self._test,
            "promote": self._promote,
            "hurry": lambda: self._journal.save(urgent=True),
            "end_grace": self._end_grace,
            "retire": self._retire,
            "destroy": self._destroy,
            "abort": self._abort,
            "finish": lambda: self._enter("IDLE", urgent=False),
        }

    @property
    def _record(self) -> RotationRecord:
        return self._journal.record

    def run(self) -> tuple[Result, int | None]:
        """Do what there is to do. Raises ``Fenced`` and ``JournalUnavailable``."""
        try:
            if not take_over(self._journal, self._secret, self._store, ordered=self._order.before is not None):
                return "nothing_enabled", None
        except (DriverError, StoreError) as error:
            return self._failed(error)
        self._sweep()
        result: Result | None = None
        moved = False
        while True:
            timing, mints = self._secret.timing, self._secret.driver.mints
            move = next_move(self._record, self._journal.now(), timing, self._order, mints=mints)
            if isinstance(move, Wait):
                break
            try:
                self._moves[move]()
            except (DriverError, StoreError) as error:
                failed = self._failed(error)
                if move == "abort" or self._record.state != "ABORTING":
                    return failed
            moved = True
            result = "promoted" if move == "promote" else "aborted" if move == "abort" else result
        if moved:
            self._sweep()
        self._label()
        return result or move.why, move.until

    # --- moves ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        set_aside = self._set_aside(self._record.previous)
        urgent = self._order.urgent
        self._order = SCHEDULE  # carried out from here on
        self._enter("MINTING", tries=0, urgent=urgent, previous=None, retired=False, discarded=set_aside)

    def _mint(self) -> None:
        attempt = attempt_id(self._secret.name, self._record.generation + 1, self._record.fence)
        attempts = (*self._record.attempts, attempt)[-MOST_ATTEMPTS:]
        self._journal.save(attempts=attempts, tries=self._record.tries + 1)
        try:
            made = self._secret.driver.create(attempt)
        except ProviderUnavailable:
            if not self._secret.driver.lists:
                self._journal.log("WARNING", "orphan_possible", attempt=attempt)
            raise
        made_at = self._journal.now()
        version = self._store.add(self._secret.name, made.value.reveal())
        public = self._record.public_keys
        if self._secret.public_key is not None:
            public = (PublicKey(version.number, self._secret.public_key(made.value)), *public)[:MOST_PUBLIC_KEYS]
        pending = HeldVersion(version.number, made_at, made.reference)
        self._enter("STORED", "stored", f"version {version.number}", tries=0, pending=pending, public_keys=public)

    def _test(self) -> None:
        """Read back what was stored, which proves that readers can too, and try it."""
        pending = _held(self._record.pending)
        try:
            self._secret.driver.test(self._store.access(self._secret.name, pending.number))
        except (KeyNotAccepted, SecretNotFound):
            self._journal.save(tries=self._record.tries + 1)
            raise
        self._enter("TESTED")

    def _promote(self) -> None:
        """The commit point."""
        record, pending = self._record, _held(self._record.pending)
        generation = record.generation + 1
        renewals = () if generation == _FIRST_GENERATION else (Renewal(generation, record.urgent),)
        self._enter(
            "PROMOTED",
            "promoted",
            f"version {pending.number}",
            generation=generation,
            untold=(*record.untold, *renewals)[-MOST_UNTOLD:],
            previous=record.current,
            current=pending,
            pending=None,
            failures=0,
            begin_at=0,
            last_failure=None,
        )

    def _end_grace(self) -> None:
        """From here on there is no way back: written down before anything is revoked."""
        if self._secret.keep == "none":
            urgent = self._record.urgent or self._order.urgent
            self._enter("DISABLED", retired=False, urgent=urgent)
            return
        kept = SetAside(_held(self._record.previous).number, self._journal.now())
        retained = (*self._record.retained, kept)
        self._enter("IDLE", "retained", f"version {kept.number}", retained=retained, previous=None, urgent=False)

    def _retire(self) -> None:
        previous = _held(self._record.previous)
        if previous.reference is not None:
            self._secret.driver.revoke(previous.reference)
        elif self._secret.provider:
            self._journal.log("WARNING", "not_revoked", version=previous.number)
        with suppress(PreconditionFailed, SecretNotFound):  # destroyed by somebody already
            self._store.disable(self._secret.name, previous.number)
        public = self._record.public_keys
        if self._record.urgent:  # whoever has the leaked key could go on signing
            public = tuple(key for key in public if key.number != previous.number)
        told = f"version {previous.number}"
        self._enter("DISABLED", "disabled", told, retired=True, urgent=False, public_keys=public)

    def _destroy(self) -> None:
        self._enter("IDLE", previous=None, discarded=self._set_aside(self._record.previous))

    def _abort(self) -> None:
        record, pending = self._record, self._record.pending
        if record.state != "ABORTING":
            self._enter("ABORTING")
        if pending is not None and pending.reference is not None:
            self._secret.driver.revoke(pending.reference)
        gone = None if pending is None else pending.number
        self._enter(
            "IDLE",
            "aborted",
            record.last_failure or "",
            severity="ERROR",
            pending=None,
            urgent=False,
            discarded=self._set_aside(pending),
            public_keys=tuple(key for key in record.public_keys if key.number != gone),
            begin_at=self._journal.now() + backoff(max(record.failures, 1), self._chance),
        )

    # --- their common parts -----------------------------------------------------------------------

    def _enter(
        self,
        state: State,
        event: str | None = None,
        detail: str = "",
        *,
        severity: Severity = "INFO",
        **changes: object,
    ) -> None:
        changes = {"state": state, "since": self._journal.now(), "retry_at": 0, **changes}
        self._journal.save(event, detail, severity=severity, **changes)

    def _set_aside(self, version: HeldVersion | None) -> tuple[SetAside, ...]:
        """What is discarded, with this version too. It has been disabled since the state began."""
        discarded = self._record.discarded
        return discarded if version is None else (*discarded, SetAside(version.number, self._record.since))

    def _failed(self, error: DriverError | StoreError) -> tuple[Result, int | None]:
        """Note a failure, and when to try again. A refusal before the promotion ends the rotation at once."""
        if isinstance(error, JournalUnavailable):
            raise error
        failures = self._record.failures + 1
        asked = min(getattr(error, "retry_after", None) or 0, LONGEST_BACKOFF_SECONDS)
        retry_at = self._journal.now() + max(backoff(failures, self._chance), round(asked * SECOND))
        kind = type(error).__name__
        final = isinstance(error, ProviderRefused) and self._record.state in ("MINTING", "STORED")
        changes: dict[str, object] = {"state": "ABORTING"} if final else {}
        self._journal.save(
            "failed",
            f"{self._record.state}: {kind}",
            severity="ERROR",
            failures=failures,
            retry_at=retry_at,
            last_failure=kind,
            **changes,
        )
        return "failed", retry_at

    def _sweep(self) -> None:
        """What a sweep cannot reach now it finds the next time; rotation does not wait for that."""
        try:
            sweep(self._journal, self._secret, self._store)
        except JournalUnavailable:
            raise
        except (DriverError, StoreError) as error:
            self._journal.log("WARNING", "sweep_failed", error=type(error).__name__)

    def _label(self) -> None:
        """Show people which versions are in use. Nothing depends on it, so it is tried once for each generation."""
        record = self._record
        if record.labelled == record.generation or record.current is None:
            return
        labels = {"current": record.current.number}
        if record.previous is not None:
            labels["previous"] = record.previous.number
        try:
            self._store.label(self._secret.name, labels)
        except StoreError as error:
            self._journal.log("WARNING", "not_labelled", error=type(error).__name__)
        self._journal.save(labelled=record.generation)


def _held(version: HeldVersion | None) -> HeldVersion:
    if version is None:
        raise RuntimeError("The rotation document lacks the version that its state is about.")
    return version
