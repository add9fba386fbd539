"""The secret-store port: numbered versions of named secrets, after Google Secret Manager.

Versions are always read by number: ``latest`` and aliases are only eventually consistent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from msgspec import Struct

VersionState = Literal["enabled", "disabled", "destroyed"]


class Secret:
    """A secret value that does not show itself in a repr, a log or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The value itself; keep it out of strings that somebody may print."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(**)"

    __str__ = __repr__


class SecretVersion(Struct, frozen=True):
    """One version of a secret, without its value."""

    name: str
    number: int
    """Counts from 1."""

    state: VersionState
    created_at: int
    """Nanoseconds since the Unix epoch."""

    etag: str
    """Changes with the version's state; lets ``destroy`` hit only what was looked at."""

    destroy_at: int | None = None
    """When a version whose destruction is delayed will be destroyed by the store itself, as ``created_at``;
    until then it is disabled."""


class SecretStore(Protocol):
    """Numbered versions of named secrets. Names match ``[A-Za-z0-9_-]{1,255}``.

    Every method raises ``SecretNotFound`` for a missing secret or version and ``StoreUnavailable``
    where the store does not answer in time.
    """

    def access(self, name: str, number: int) -> Secret:
        """The value of one version.

        Raises:
            PreconditionFailed: The version is disabled or destroyed.
        """

    def add(self, name: str, value: bytes) -> SecretVersion:
        """Add the next version, enabled. The secret must exist (``create``)."""

    def create(self, name: str) -> bool:
        """Make the secret, without a version; False where it exists already."""

    def versions(self, name: str) -> list[SecretVersion]:
        """All versions, newest first."""

    def enable(self, name: str, number: int) -> None:
        """Make a disabled version readable again."""

    def disable(self, name: str, number: int) -> None:
        """Make a version unreadable; ``enable`` undoes it."""

    def destroy(self, name: str, number: int, etag: str | None = None) -> None:
        """Delete a version's value for ever, at once or after the store's own delay; its number stays taken.
        Destroying a version twice is no error.

        Raises:
            PreconditionFailed: The version is no longer as it was when it had this ``etag``.
        """

    def label(self, name: str, labels: Mapping[str, int]) -> None:
        """Mirror for people which versions have which part, as ``{"current": 7}``; replaces labels of the same name.

        Nothing may be read by label: on Secret Manager they are aliases, which are eventually consistent.
        """

    def labels(self, name: str) -> dict[str, int]:
        """The labels as people see them."""
