"""The signer whose key is a version of a Cloud KMS key.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign

The key's algorithm must be ``EC_SIGN_ED25519``, which signs ``data`` itself and no digest of it.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.errors import StoreUnavailable
from shared.stores.checksums import crc32c
from shared.stores.kms_api import ATTEMPTS, ENDPOINT, KmsApi, KmsRefused, Token, decoded, encoded
from shared.stores.signers import Signature

ALGORITHM = "EC_SIGN_ED25519"


class KmsSigner:
    """``Signer`` with one key version. Safe under threads."""

    def __init__(self, version: str, *, endpoint: str = ENDPOINT, token: Token | None = None) -> None:
        """Connects at first use; make it after the fork.

        Args:
            version: ``projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…``.
            endpoint: See ``KmsApi``; ``token`` too.
        """
        self._api = KmsApi(version, endpoint=endpoint, token=token)
        self._version = version
        self._public_key: bytes | None = None

    def sign(self, message: bytes) -> Signature:
        """See ``Signer``."""
        public_key = self._own_public_key()
        body = {"data": encoded(message), "dataCrc32c": str(crc32c(message))}
        for _ in range(ATTEMPTS):
            try:
                answer = self._api.post("asymmetricSign", body)
            except KmsRefused as error:
                raise StoreUnavailable("Cloud KMS refuses to sign.") from error
            signature = decoded(answer.get("signature"))
            if (
                answer.get("name") == self._version
                and answer.get("verifiedDataCrc32c") is True
                and str(answer.get("signatureCrc32c")) == str(crc32c(signature))
            ):
                return Signature(signature, public_key)
        raise StoreUnavailable("Cloud KMS's signatures arrive damaged.")

    def public_keys(self) -> list[bytes]:
        """See ``Signer``: that of this version alone."""
        return [self._own_public_key()]

    def _own_public_key(self) -> bytes:
        if self._public_key is None:
            try:
                answer = self._api.get("publicKey")
            except KmsRefused as error:
                raise StoreUnavailable("Cloud KMS gives no public key.") from error
            pem = str(answer.get("pem", "")).encode()
            if answer.get("algorithm") != ALGORITHM:
                raise StoreUnavailable(f"The Cloud KMS key is not of the algorithm {ALGORITHM}.")
            if str(answer.get("pemCrc32c")) != str(crc32c(pem)):
                raise StoreUnavailable("Cloud KMS's public key arrived damaged.")
            try:
                key = load_pem_public_key(pem)
            except ValueError as error:
                raise StoreUnavailable("Cloud KMS's public key cannot be read.") from error
            if not isinstance(key, Ed25519PublicKey):
                raise StoreUnavailable(f"The Cloud KMS key is not of the algorithm {ALGORITHM}.")
            self._public_key = key.public_bytes_raw()
        return self._public_key
