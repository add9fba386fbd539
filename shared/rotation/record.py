"""The rotation document: everything that is known of one secret's rotation, and the pointer that readers follow.

It never holds a value. What it holds of providers are references and attempt ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from shared.shapes import prepare
from shared.stores.secret_pointer import PublicKey

State = Literal["IDLE", "MINTING", "STORED", "TESTED", "PROMOTED", "DISABLED", "ABORTING"]

MOST_ATTEMPTS = 50
"""Attempts that are remembered, so that a key which turns up late is known as ours."""

MOST_ENTRIES = 50
MOST_DISCARDED = 100
MOST_PUBLIC_KEYS = 100
MOST_UNTOLD = 50
"""Bounds of the lists below. Public keys: 25 years at four a year."""


class HeldVersion(msgspec.Struct, frozen=True):
    """A version that rotation made or took over."""

    number: int
    made_at: int
    """Nanoseconds since the Unix epoch, as all times here, by the document store's clock."""

    reference: str | None = None
    """What the provider calls its key; None: no provider knows it, or which key it is was never told."""


class SetAside(msgspec.Struct, frozen=True):
    """A version that is not pointed to any more, or never was."""

    number: int
    since: int


class Entry(msgspec.Struct, frozen=True):
    """One line of the history."""

    at: int
    event: str
    generation: int
    detail: str = ""


class Renewal(msgspec.Struct, frozen=True):
    """A version that took the place of another."""

    generation: int
    urgent: bool = False
    """The one before got no grace period."""


class RotationRecord(msgspec.Struct, frozen=True):
    """One secret's rotation. ``shared.stores.secret_pointer.Pointer`` is the part of it that readers read."""

    state: State = "IDLE"
    since: int = 0
    """When ``state`` began."""

    generation: int = 0
    current: HeldVersion | None = None
    previous: HeldVersion | None = None
    pending: HeldVersion | None = None
    public_keys: tuple[PublicKey, ...] = ()

    floor: int | None = None
    """Versions up to this one were there before rotation, which leaves them alone. None: not looked at yet."""

    lease_owner: str | None = None
    lease_until: int = 0
    fence: int = 0
    """Rises by one with each lease. Every write is also conditional on the document's update time, so a holder
    that was paused past its lease can change nothing any more; the fence is what logs and attempt ids show of it."""

    attempts: tuple[str, ...] = ()
    """Ids of attempts to make a key, journalled before the provider is called; newest last."""

    tries: int = 0
    """Attempts of the rotation that is under way: to make a key in MINTING, to test it in STORED."""

    urgent: bool = False
    """The old key leaked: no waiting, neither before the promotion nor for the grace period."""

    retired: bool = False
    """In DISABLED: the provider has revoked the previous key, and its version is disabled."""

    failures: int = 0
    """Failures in a row; a promotion sets it back."""

    retry_at: int = 0
    """When what failed is tried again."""

    begin_at: int = 0
    """No new rotation before this: the last one was given up or rolled back."""

    last_failure: str | None = None

    retained: tuple[SetAside, ...] = ()
    """Versions that are out of use but still referred to, such as peppers; they stay enabled."""

    looked_at: int = 0
    """When it was last looked for references to ``retained``."""

    discarded: tuple[SetAside, ...] = ()
    """Versions that are disabled and will be destroyed."""

    labelled: int = -1
    """The generation that the labels for people show."""

    history: tuple[Entry, ...] = ()
    """Newest last."""

    untold: tuple[Renewal, ...] = ()
    """What the audit trail has not taken yet; newest last."""

    def referenced(self) -> set[int]:
        """Numbers of the versions that are in use, will be, or may be again."""
        held = {version.number for version in (self.current, self.previous, self.pending) if version is not None}
        return held | {version.number for version in self.retained}

    def keys(self) -> set[str]:
        """References of the keys that are in use, will be, or may be again."""
        held = (self.current, self.previous, self.pending)
        return {version.reference for version in held if version is not None and version.reference is not None}


prepare(RotationRecord)


def to_fields(record: RotationRecord) -> dict[str, Any]:
    """The record as a document's fields."""
    fields = msgspec.to_builtins(record, builtin_types=(bytes,))
    return {name: _with_lists(value) for name, value in fields.items()}


def from_fields(fields: Mapping[str, Any]) -> RotationRecord:
    """The record in a document's fields."""
    return msgspec.convert(fields, RotationRecord)


def _with_lists(value: Any) -> Any:
    """Documents hold lists, and no tuples."""
    return list(value) if isinstance(value, tuple) else value
