"""The keys that receipts are signed and verified with, read from the secret store as they change."""

from __future__ import annotations

import msgspec

from shared.errors import SecretNotFound, ServiceUnavailable, StoreError
from shared.guards.receipt import ReceiptSigner, public_key_of
from shared.identity.ed25519 import jwks
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import SecretStore

SECRET = "receipt-signing-key"  # noqa: S105  # its name, not its value


class ReceiptKeys:
    """Signs with the current version; publishes the public keys that rotation has noted: of the version that
    will sign next, of the one that signs, and of those that did. Where nothing rotates the key, it
    publishes that of every version that can be read."""

    def __init__(self, secrets: SecretReader, store: SecretStore) -> None:
        self._secrets = secrets
        self._store = store
        self._signer: tuple[int, ReceiptSigner] | None = None
        self._published: tuple[tuple[object, ...], bytes] | None = None

    def signer(self) -> ReceiptSigner:
        """The signer with the current key.

        Raises:
            ServiceUnavailable: ``not_ready``: there is no key yet; or the store does not answer.
        """
        try:
            current = self._secrets.current(SECRET)
        except StoreError as error:
            raise _not_ready(error) from error
        if self._signer is None or self._signer[0] != current.number:
            self._signer = (current.number, ReceiptSigner(current.secret.reveal()))
        return self._signer[1]

    def public_keys(self) -> bytes:
        """The JSON Web Key Set, newest key first. Raises as ``signer`` does."""
        try:
            current, keys = self._secrets.current(SECRET).number, self._secrets.public_keys(SECRET)
            known = (current, *keys)
            if self._published is None or self._published[0] != known:
                self._published = (known, msgspec.json.encode(jwks(keys or self._readable())))
        except StoreError as error:
            raise _not_ready(error) from error
        return self._published[1]

    def _readable(self) -> list[bytes]:
        return [
            public_key_of(self._secrets.version(SECRET, version.number).reveal())
            for version in self._store.versions(SECRET)
            if version.state == "enabled"
        ]


def _not_ready(error: StoreError) -> ServiceUnavailable:
    if isinstance(error, SecretNotFound):
        return ServiceUnavailable("Wardgate is not ready: its secrets have not been made yet.", code="not_ready")
    return ServiceUnavailable("The secret store cannot be reached now.", headers={"retry-after": "1"})
