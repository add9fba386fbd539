"""Wraps the keys of sealed content: encrypts them with a key of the secret store, or one that never leaves Cloud KMS.

The cryptography package is imported with the first key that is used.
"""

from __future__ import annotations

import secrets
from typing import Any, Protocol

from msgspec import Struct

from shared.errors import WardgateError
from shared.stores.secrets import Secret

SECRET = "content-key"  # noqa: S105  # its name, not its value

_NONCE_BYTES = 12


class ContentUnreadable(WardgateError):
    """Content, or its key, is not what was sealed for this record."""


class Wrapped(Struct, frozen=True):
    """A key, encrypted."""

    wrapped: bytes
    version: int
    """Of the key-encryption key."""


class KeyWrapper(Protocol):
    """Encrypts keys with a key that it keeps to itself. Both raise ``StoreError`` where it cannot be asked."""

    def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        """The key, encrypted for this one purpose."""

    def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        """The key again; ``ContentUnreadable`` where it was altered, or wrapped for another purpose."""


class VersionedSecrets(Protocol):
    """Reads secrets by version."""

    def current(self, name: str) -> Any: ...

    def version(self, name: str, number: int) -> Secret: ...


class SecretWrapper:
    """A ``KeyWrapper`` whose key is the secret ``content-key``: AES-256-GCM."""

    def __init__(self, keys: VersionedSecrets) -> None:
        self._keys = keys

    def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        """See ``KeyWrapper``."""
        current = self._keys.current(SECRET)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Wrapped(nonce + cipher(current.secret.reveal()).encrypt(nonce, key, bound_to), current.number)

    def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        """See ``KeyWrapper``."""
        key = self._keys.version(SECRET, wrapped.version).reveal()
        return decrypt(key, wrapped.wrapped[:_NONCE_BYTES], wrapped.wrapped[_NONCE_BYTES:], bound_to)


def cipher(key: bytes) -> Any:
    """AES-GCM under ``key``."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def decrypt(key: bytes, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """Raises ``ContentUnreadable`` where it was altered or bound to something else."""
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(cipher(key).decrypt(nonce, sealed, bound_to))
    except (InvalidTag, ValueError):
        raise ContentUnreadable("The content was altered, or sealed for another record.") from None
