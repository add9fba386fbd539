"""When each secret is due for a new version, and how its rotation stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from shared.clock import Clock
from shared.errors import SecretNotFound
from shared.rotation.machine import SECOND, Timing
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import HeldVersion, RotationRecord, State, from_fields
from shared.stores.documents import DocumentStore
from shared.stores.secret_pointer import pointer_path
from shared.stores.secrets import SecretStore

Status = Literal["ok", "due", "overdue", "missing"]

OVERDUE_SECONDS = 86_400
"""So long after it was due a secret is overdue: the schedule has not managed to renew it."""


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """How old a secret is, when that is too old, and how its rotation stands."""

    name: str
    owner: Literal["wardgate", "operator"]
    """Who makes its versions: Wardgate's schedule, or people."""

    status: Status
    """``missing``: there is no version that can be used."""

    state: State | None = None
    """None: nothing rotates it, or nothing has yet."""

    generation: int | None = None
    version: int | None = None
    previous: int | None = None
    age_seconds: int | None = None
    due_at: datetime | None = None
    failures: int = 0
    """Failures in a row."""

    last_failure: str | None = None


def read_record(documents: DocumentStore, name: str) -> RotationRecord:
    """The rotation document of a secret; an empty one where there is none.

    Raises:
        StoreUnavailable: The document store does not answer.
    """
    document = documents.get(pointer_path(name))
    return RotationRecord() if document is None else from_fields(document.fields)


def managed_status(secret: ManagedSecret, store: SecretStore, documents: DocumentStore, clock: Clock) -> SecretStatus:
    """How a secret stands that rotation looks after.

    Raises:
        StoreUnavailable: A store does not answer.
    """
    record = read_record(documents, secret.name)
    version = _newest_enabled(store, secret.name) if record.floor is None else record.current
    plain = _status(secret.name, "wardgate" if secret.driver.mints else "operator", version, secret.timing, clock)
    if record.floor is None:
        return plain
    return replace(
        plain,
        state=record.state,
        generation=record.generation,
        previous=None if record.previous is None else record.previous.number,
        failures=record.failures,
        last_failure=record.last_failure,
    )


def operators_status(name: str, timing: Timing, store: SecretStore, clock: Clock) -> SecretStatus:
    """How a secret stands whose versions people make: its newest enabled version counts.

    A key that comes from an environment variable in development is ``missing``.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    return _status(name, "operator", _newest_enabled(store, name), timing, clock)


def _status(
    name: str, owner: Literal["wardgate", "operator"], version: HeldVersion | None, timing: Timing, clock: Clock
) -> SecretStatus:
    if version is None:
        return SecretStatus(name, owner, "missing")
    now, due = clock.time_ns(), version.made_at + timing.period * SECOND
    status: Status = "ok" if now < due else "due" if now < due + OVERDUE_SECONDS * SECOND else "overdue"
    return SecretStatus(
        name,
        owner,
        status,
        version=version.number,
        age_seconds=(now - version.made_at) // SECOND,
        due_at=datetime.fromtimestamp(due / SECOND, UTC),
    )


def _newest_enabled(store: SecretStore, name: str) -> HeldVersion | None:
    try:
        versions = store.versions(name)
    except SecretNotFound:
        return None
    newest = next((version for version in versions if version.state == "enabled"), None)
    return None if newest is None else HeldVersion(newest.number, newest.created_at)
