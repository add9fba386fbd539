"""What ``rotate_secrets`` and ``wardgate rotate`` do, over all secrets or one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import NotFound, StoreUnavailable, Unrecorded
from shared.policy.secret_rules import operators_secrets
from shared.policy.types import PolicyFile
from shared.rotation.inventory import managed_secrets, timing_of
from shared.rotation.journal import Log
from shared.rotation.machine import SCHEDULE, Order
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import Entry
from shared.rotation.rotator import Rotator, Tell, Tick
from shared.rotation.schedule import SecretStatus, managed_status, operators_status, read_record
from shared.settings import Environment
from shared.stores.documents import DocumentStore
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import SecretStore
from shared.web.log import log


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did."""

    ticks: tuple[Tick, ...]
    secrets: tuple[SecretStatus, ...]
    """How every secret stands afterwards."""

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """Secrets that were renewed, and the audit trail did not take the event."""
        return tuple(tick.secret for tick in self.ticks if tick.unrecorded)


class RotationService:
    """The secrets of one policy, rotated and reported."""

    def __init__(
        self,
        store: SecretStore,
        documents: DocumentStore,
        policy: PolicyFile,
        clock: Clock,
        managed: Sequence[ManagedSecret] | None = None,
        log: Log = log,
        *,
        tell: Tell | None = None,
        environment: Environment = "production",
        alone: bool = False,
    ) -> None:
        """
        Args:
            store: Where the secrets are.
            documents: Where the rotation documents are.
            policy: Names the upstreams' secrets, and how long things last.
            clock: Tells the time.
            managed: The secrets to rotate, in place of those of the policy.
            log: Writes a line, as ``shared.web.log.log`` does.
            tell: Told of what was renewed, as ``Rotator`` has it, or rolled back.
            environment: ``development`` lets environment variables win where a driver needs a secret for itself.
            alone: Whoever holds a lease is known to be gone, so it is not waited for.
        """
        self._store = store
        self._documents = documents
        self._policy = policy
        self._clock = clock
        self._log = log
        self._tell = tell
        reader = SecretReader(store, documents, environment)
        found = managed_secrets(policy, documents, reader, clock) if managed is None else managed
        self._managed = {secret.name: secret for secret in found}
        self._rotator = Rotator(store, documents, clock, log, tell=tell, alone=alone)

    @property
    def names(self) -> tuple[str, ...]:
        """The secrets that are rotated."""
        return tuple(self._managed)

    def run(self, order: Order = SCHEDULE, name: str | None = None) -> RunReport:
        """Take every secret, or one, as far as it goes now; make those that are missing. Logs what is overdue, and
        what the audit trail was not told of.

        Raises:
            NotFound: Wardgate rotates no secret of that name.
            StoreUnavailable: A store does not answer; the next run goes on.
        """
        chosen = list(self._managed.values()) if name is None else [self._secret(name)]
        ticks = [self._tick(secret, order) for secret in chosen]
        for theirs in self._theirs() if name is None else ():
            self._rotator.hand_over(theirs)
        secrets = self.status()
        for each in secrets:
            if each.status in ("overdue", "missing") or (each.status != "ok" and each.owner == "operator"):
                known = {"secret": each.name, "owner": each.owner, "status": each.status}
                self._log("WARNING", "rotation.overdue", **known, age_seconds=each.age_seconds)
        return RunReport(tuple(ticks), secrets)

    def _tick(self, secret: ManagedSecret, order: Order) -> Tick:
        tick = self._rotator.tick(secret, order)
        if tick.result == "unavailable":  # nor for any other secret
            raise StoreUnavailable("The document store does not answer; run it again.")
        return tick

    def status(self) -> tuple[SecretStatus, ...]:
        """How every secret stands that Wardgate or an upstream needs, Wardgate's own first. Changes nothing.

        Raises:
            StoreUnavailable: A store does not answer.
        """
        rules = self._policy.secrets
        return (
            *(managed_status(secret, self._store, self._documents, self._clock) for secret in self._managed.values()),
            *(operators_status(name, timing_of(rules, name), self._store, self._clock) for name in self._theirs()),
        )

    def _theirs(self) -> list[str]:
        """The secrets whose versions people make."""
        return [name for name in operators_secrets(self._policy) if name not in self._managed]

    def rollback(self, name: str) -> Tick:
        """Go back to the previous version, within its grace period.

        Raises:
            NotFound: Wardgate rotates no secret of that name.
            RollbackRefused: There is nothing to roll back to.
            Busy: Somebody else is at work on it.
            StoreUnavailable: A store does not answer.
            Unrecorded: It is done, but the audit trail did not take the event.
        """
        tick = self._rotator.rollback(self._secret(name))
        try:
            if self._tell is not None:
                self._tell("rotate.rollback", name, f"generation {tick.generation}")
        except StoreUnavailable as error:
            raise Unrecorded(f"'{name}' IS back at its previous version", error) from error
        return tick

    def history(self, name: str) -> tuple[Entry, ...]:
        """What happened to a secret, oldest first; the last 50 lines.

        Raises:
            NotFound: Wardgate rotates no secret of that name.
            StoreUnavailable: The document store does not answer.
        """
        return read_record(self._documents, self._secret(name).name).history

    def _secret(self, name: str) -> ManagedSecret:
        if name not in self._managed:
            known = ", ".join(self._managed)
            raise NotFound(f"Wardgate rotates no secret of this name; it rotates {known}.", code="secret_not_found")
        return self._managed[name]
