"""The signer port: Ed25519 signatures by a key that this process may hold, or may only ask to sign.

secret://audit-signing-key      a secret of the configured store; in development and small deployments
kms://projects/…/cryptoKeyVersions/1    a key version of Cloud KMS, which never leaves it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from shared.errors import ConfigurationError, Fault
from shared.stores.secrets import SecretStore

SETTING = "WARDGATE_SIGNER"

_SECRET = re.compile(r"secret://([A-Za-z0-9_-]{1,255})")
_KMS = re.compile(
    r"kms://(projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}"
    r"/cryptoKeys/[A-Za-z0-9_-]{1,63}/cryptoKeyVersions/[0-9]{1,9})"
)


@dataclass(frozen=True, slots=True)
class Signature:
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


def connect_signer(uri: str, secrets: SecretStore) -> Signer:
    """The signer at ``uri``.

    Args:
        uri: ``secret://name`` or ``kms://projects/…/cryptoKeyVersions/n``.
        secrets: Holds the key of the first kind.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme.
    """
    if named := _SECRET.fullmatch(uri):
        from shared.stores.secret_signer import SecretSigner

        return SecretSigner(secrets, named[1])
    if named := _KMS.fullmatch(uri):
        from shared.stores.kms_signer import KmsSigner

        return KmsSigner(named[1])
    problem = "give secret://name or kms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N."
    raise ConfigurationError([Fault(SETTING, problem)])
