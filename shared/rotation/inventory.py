"""The secrets that Wardgate holds on the server, and their first versions."""

from __future__ import annotations

import secrets

from shared.errors import SecretNotFound
from shared.stores.secrets import SecretStore

API_KEY_PEPPER = "api-key-pepper"
"""Keys the hashes under which API keys are stored."""

AUDIT_PEPPER = "audit-pepper"
"""Keys the hashes that stand for prompts and answers in audit events."""

RECEIPT_SIGNING_KEY = "receipt-signing-key"
"""Ed25519 private key, raw, that signs receipts."""

AUDIT_SIGNING_KEY = "audit-signing-key"
"""Ed25519 private key, raw, that signs checkpoints of the audit trail where Cloud KMS does not."""

HELD_SECRETS = (API_KEY_PEPPER, AUDIT_PEPPER, RECEIPT_SIGNING_KEY, AUDIT_SIGNING_KEY)

_VALUE_BYTES = 32
"""A pepper as long as SHA-256's output (RFC 2104, section 3), and exactly an Ed25519 private key (RFC 8032, 5.1.5)."""


def new_value() -> bytes:
    """A value for a new version of any of them: an Ed25519 private key, too, is 32 random bytes."""
    return secrets.token_bytes(_VALUE_BYTES)


def ensure_secrets(store: SecretStore) -> tuple[str, ...]:
    """Make each of Wardgate's secrets that has never had a version, and name those that were made.

    Where every version is disabled or destroyed, somebody wanted it so, and it stays so. Two runs at once
    may leave a secret with two versions: both work, since whoever uses one notes its number, and the
    newer is the current one.

    Raises:
        StoreUnavailable: The store does not answer; what was made stays, and the next run goes on.
    """
    return tuple(name for name in HELD_SECRETS if _ensure(store, name))


def _ensure(store: SecretStore, name: str) -> bool:
    try:
        if store.versions(name):
            return False
    except SecretNotFound:
        # Only now, since to create asks for a right that is not granted where Terraform has made the secrets.
        store.create(name)
    store.add(name, new_value())
    return True
