"""Wraps the keys of sealed content with a key that never leaves Cloud KMS."""

from __future__ import annotations

from shared.audit.wrapping import ContentUnreadable, Wrapped
from shared.errors import StoreUnavailable
from shared.stores.checksums import crc32c
from shared.stores.kms_api import ATTEMPTS, ENDPOINT, KmsApi, KmsRefused, Token, decoded, encoded


class KmsWrapper:
    """A ``KeyWrapper`` whose key never leaves Cloud KMS: a symmetric key with the purpose ``ENCRYPT_DECRYPT``.

    https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt
    """

    def __init__(self, key: str, *, endpoint: str = ENDPOINT, token: Token | None = None) -> None:
        """Connects at first use; make it after the fork.

        Args:
            key: ``projects/…/locations/…/keyRings/…/cryptoKeys/…``; KMS finds the version by itself.
            endpoint: See ``KmsApi``; ``token`` too.
        """
        self._api = KmsApi(key, endpoint=endpoint, token=token)

    def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        """See ``KeyWrapper``."""
        body = {
            "plaintext": encoded(key),
            "plaintextCrc32c": str(crc32c(key)),
            "additionalAuthenticatedData": encoded(bound_to),
            "additionalAuthenticatedDataCrc32c": str(crc32c(bound_to)),
        }
        for _ in range(ATTEMPTS):
            try:
                answer = self._api.post("encrypt", body)
            except KmsRefused as error:
                raise StoreUnavailable("Cloud KMS refuses to encrypt.") from error
            wrapped = decoded(answer.get("ciphertext"))
            version = str(answer.get("name")).rpartition("/cryptoKeyVersions/")[2]
            if (
                answer.get("verifiedPlaintextCrc32c") is True
                and answer.get("verifiedAdditionalAuthenticatedDataCrc32c") is True
                and str(answer.get("ciphertextCrc32c")) == str(crc32c(wrapped))
                and version.isdecimal()
            ):
                return Wrapped(wrapped, int(version))
        raise StoreUnavailable("What Cloud KMS encrypts arrives damaged.")

    def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        """See ``KeyWrapper``."""
        body = {
            "ciphertext": encoded(wrapped.wrapped),
            "ciphertextCrc32c": str(crc32c(wrapped.wrapped)),
            "additionalAuthenticatedData": encoded(bound_to),
            "additionalAuthenticatedDataCrc32c": str(crc32c(bound_to)),
        }
        for _ in range(ATTEMPTS):
            try:
                answer = self._api.post("decrypt", body)
            except KmsRefused:
                raise ContentUnreadable("The key of this content was altered, or wrapped for another.") from None
            key = decoded(answer.get("plaintext"))
            if str(answer.get("plaintextCrc32c")) == str(crc32c(key)):
                return key
        raise StoreUnavailable("What Cloud KMS decrypts arrives damaged.")
