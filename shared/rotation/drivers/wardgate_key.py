"""The driver for Wardgate's own API keys: a key keeps its id, and has two live secrets in the grace period."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import ApiError, ServiceUnavailable, Unauthenticated
from shared.identity.api_keys import ApiKeys
from shared.identity.key_rotation import KeyRotation
from shared.rotation.drivers.port import KeyNotAccepted, ListedKey, NewKey, ProviderRefused, ProviderUnavailable
from shared.rotation.drivers.provider_api import header_text
from shared.stores.secrets import Secret


class WardgateKey:
    """Makes secrets of one API key. Each is called by the attempt that made it."""

    mints = True
    lists = True

    def __init__(self, key_id: str, rotation: KeyRotation, keys: ApiKeys) -> None:
        """
        Args:
            key_id: Which key.
            rotation: Adds and ends its secrets.
            keys: Checks them, as guard does.
        """
        self._key_id = key_id
        self._rotation = rotation
        self._keys = keys

    def create(self, attempt_id: str) -> NewKey:
        """See ``Driver``."""
        with _told():
            return NewKey(Secret(self._rotation.add(self._key_id, attempt_id).encode()), attempt_id)

    def test(self, value: Secret) -> None:
        """See ``Driver``."""
        with _told():
            try:
                caller = self._keys.authenticate(header_text(value))
            except Unauthenticated as error:
                raise KeyNotAccepted(f"The key is refused: {error.code}.") from None
        if caller.key_id != self._key_id:
            raise KeyNotAccepted("The stored value is another key's.")

    def revoke(self, reference: str) -> None:
        """See ``Driver``."""
        with _told():
            self._rotation.end(self._key_id, reference)

    def list(self) -> list[ListedKey]:
        """See ``Driver``. What people made is called by nothing, and never touched."""
        with _told():
            attempts = self._rotation.attempts(self._key_id)
        return [ListedKey(attempt or "", attempt) for attempt in attempts]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailable as error:
        raise ProviderUnavailable(f"API keys cannot be changed now: {error.code}.") from None
    except ApiError as error:
        raise ProviderRefused(f"The API key cannot be rotated: {error.code}.") from None
