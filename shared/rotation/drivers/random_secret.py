"""The driver of secrets that are nothing but random: peppers, signing keys, webhook secrets."""

from __future__ import annotations

import secrets

from shared.rotation.drivers.port import KeyNotAccepted, ListedKey, NewKey
from shared.stores.secrets import Secret

VALUE_BYTES = 32
"""A pepper as long as SHA-256's output (RFC 2104, section 3), and exactly an Ed25519 private key (RFC 8032, 5.1.5)."""


class RandomSecret:
    """Makes 32 random bytes. No provider knows them, so there is nothing to revoke or list."""

    mints = True
    lists = True

    def create(self, attempt_id: str) -> NewKey:
        """See ``Driver``."""
        return NewKey(Secret(secrets.token_bytes(VALUE_BYTES)))

    def test(self, value: Secret) -> None:
        """See ``Driver``: that what was stored is what was made, as far as its length tells."""
        if len(value.reveal()) != VALUE_BYTES:
            raise KeyNotAccepted(f"The stored value does not have {VALUE_BYTES} bytes.")

    def revoke(self, reference: str) -> None:
        """See ``Driver``."""

    def list(self) -> list[ListedKey]:
        """See ``Driver``."""
        return []
