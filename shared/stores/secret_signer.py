"""The signer whose key is a secret: the version that its pointer names signs, every enabled one is believed."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import SecretNotFound
from shared.stores.documents import DocumentStore
from shared.stores.secret_pointer import read_pointer
from shared.stores.secrets import SecretStore
from shared.stores.signers import Signature


class SecretSigner:
    """``Signer`` with an Ed25519 private key, kept as its 32 raw bytes."""

    def __init__(self, secrets: SecretStore, name: str, documents: DocumentStore | None = None) -> None:
        """Reads nothing yet.

        Args:
            secrets: Hold the key.
            name: The secret.
            documents: Where its pointer is; None: the newest enabled version signs, as where nothing rotates it.
        """
        self._secrets = secrets
        self._name = name
        self._documents = documents

    def sign(self, message: bytes) -> Signature:
        """See ``Signer``."""
        key = self._key(self._numbers()[0])
        return Signature(key.sign(message), _raw(key))

    def public_keys(self) -> list[bytes]:
        """See ``Signer``."""
        return [_raw(self._key(number)) for number in self._numbers()]

    def _numbers(self) -> list[int]:
        """The versions that are believed, the one that signs first: a newer one may not have been tested yet."""
        enabled = self._enabled()
        pointed = None if self._documents is None else read_pointer(self._documents, self._name).current
        if pointed is None or pointed.number not in enabled:
            return enabled
        return [pointed.number, *(number for number in enabled if number != pointed.number)]

    def _enabled(self) -> list[int]:
        numbers = [version.number for version in self._secrets.versions(self._name) if version.state == "enabled"]
        if not numbers:
            raise SecretNotFound(f"No version of secret '{self._name}' is enabled.")
        return numbers

    def _key(self, number: int) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._secrets.access(self._name, number).reveal())


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
