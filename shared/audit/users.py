"""Finds an end user's events, of whom the trail holds nothing but keyed hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.audit.compose import keyed_hash
from shared.audit.event import PEPPER, PEPPER_VERSION, TENANT
from shared.errors import PreconditionFailed, SecretNotFound
from shared.stores.secrets import Secret


class PepperVersions(Protocol):
    """Reads versions of the pepper."""

    def version(self, name: str, number: int) -> Secret: ...


@dataclass(frozen=True, slots=True)
class HashedUser:
    """A user of whom only the hash is known, as an event shows it."""

    user_hmac: str

    def is_of(self, user_hmac: Any, attributes: Mapping[str, Any]) -> bool:
        """Whether the event has this very hash: the same tenant, the same version of the pepper."""
        return bool(user_hmac == self.user_hmac)


class NamedUser:
    """A user by name, in any tenant and under any version of the pepper that is still there."""

    def __init__(self, name: str, peppers: PepperVersions) -> None:
        """Reads nothing yet."""
        self._name = name
        self._peppers = peppers
        self._hashes: dict[tuple[Any, Any], str | None] = {}
        self.unknown_versions: set[int] = set()
        """Versions of the pepper that are gone: of their events nobody can tell any more whose they are."""

    def is_of(self, user_hmac: Any, attributes: Mapping[str, Any]) -> bool:
        """Whether the event is this user's.

        Raises:
            StoreUnavailable: The secret store does not answer.
        """
        place = (attributes.get(TENANT), attributes.get(PEPPER_VERSION))
        if place not in self._hashes:
            self._hashes[place] = self._hash(*place)
        return bool(user_hmac == self._hashes[place])

    def _hash(self, tenant: Any, version: Any) -> str | None:
        if not isinstance(tenant, str) or not isinstance(version, int):
            return None
        try:
            pepper = self._peppers.version(PEPPER, version)
        except (SecretNotFound, PreconditionFailed):
            self.unknown_versions.add(version)
            return None
        return keyed_hash(pepper, tenant, "user", self._name)
