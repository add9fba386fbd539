"""The signer port: Ed25519 signatures by a key that this process may hold, or may only ask to sign."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Signature(Struct, frozen=True):
    """A signature and the key that made it."""

    value: bytes
    """64 bytes."""

    public_key: bytes
    """32 bytes, raw."""


class Signer(Protocol):
    """Signs with the current key.

    Every method raises ``SecretNotFound`` where there is no key yet, and ``StoreUnavailable`` where whoever
    holds it does not answer in time.
    """

    def sign(self, message: bytes) -> Signature:
        """The Ed25519 signature (RFC 8032) of a message of at most 64 KiB."""

    def public_keys(self) -> list[bytes]:
        """The raw public keys whose signatures are to be believed, the current one first."""
