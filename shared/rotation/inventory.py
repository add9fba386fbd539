"""Which secrets there are, and how each is rotated."""

from __future__ import annotations

from shared.clock import Clock
from shared.identity.api_keys import peppers_in_use
from shared.policy.secret_rules import (
    API_KEY_PEPPER,
    AUDIT_PEPPER,
    AUDIT_SIGNING_KEY,
    CONTENT_KEY,
    RECEIPT_SIGNING_KEY,
    signing_secrets,
)
from shared.policy.types import PolicyFile, RemindDriver, SecretPolicy, SecretRule
from shared.rotation.drivers.connect import connect_driver
from shared.rotation.drivers.random_secret import RandomSecret
from shared.rotation.machine import Timing
from shared.rotation.managed import ManagedSecret
from shared.stores.documents import DocumentStore
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret

LEAD_SECONDS = 420
"""Verifiers may cache the key set for 300 s, and guards the pointer for 60 s; then all of them know a new key."""


def managed_secrets(
    policy: PolicyFile, documents: DocumentStore, reader: SecretReader, clock: Clock
) -> tuple[ManagedSecret, ...]:
    """The secrets that rotation looks after, each after those that its driver needs.

    Args:
        policy: How long things last, and where keys come from.
        documents: Where API keys are, whose hashes name their pepper.
        reader: Reads the secrets that drivers need for themselves.
        clock: Tells which API keys have expired.
    """
    random_secret = RandomSecret()
    rules = policy.secrets
    signing = timing_of(rules, RECEIPT_SIGNING_KEY)
    # No longer than the grace period: whoever shortens that wants the whole rotation to be short.
    lead = min(LEAD_SECONDS, signing.grace)
    # Each key that it wrapped names its version, and is wanted for as long as what was sealed with it.
    content = ManagedSecret(CONTENT_KEY, random_secret, timing_of(rules, CONTENT_KEY), keep="always", provider=False)
    return (
        ManagedSecret(
            API_KEY_PEPPER,
            random_secret,
            timing_of(rules, API_KEY_PEPPER),
            keep="referenced",
            in_use=lambda: peppers_in_use(documents, clock),
            provider=False,
        ),
        # Events in a retention-locked archive refer to it for as long as they are kept.
        ManagedSecret(AUDIT_PEPPER, random_secret, timing_of(rules, AUDIT_PEPPER), keep="always", provider=False),
        ManagedSecret(
            RECEIPT_SIGNING_KEY,
            random_secret,
            Timing(signing.period, signing.grace, signing.bake, lead),
            public_key=_ed25519_public_key,
            provider=False,
        ),
        # Whoever verifies an old checkpoint needs the key that signed it.
        ManagedSecret(
            AUDIT_SIGNING_KEY, random_secret, timing_of(rules, AUDIT_SIGNING_KEY), keep="always", provider=False
        ),
        *([content] if policy.audit.content == "sealed" else []),
        *(
            ManagedSecret(name, random_secret, timing_of(rules, name), provider=False)
            for name in signing_secrets(policy)
        ),
        *(
            ManagedSecret(name, connect_driver(rule.driver, name, documents, reader, clock), timing_of(rules, name))
            for name, rule in sorted(rules.per_secret.items())
            if not isinstance(rule.driver, RemindDriver | None)
        ),
    )


def timing_of(rules: SecretPolicy, name: str) -> Timing:
    """The policy's times for a secret."""
    own = rules.per_secret.get(name, SecretRule())
    days = rules.period_days if own.period_days is None else own.period_days
    return Timing(
        period=days * 86_400,
        grace=rules.grace_seconds if own.grace_seconds is None else own.grace_seconds,
        bake=rules.bake_seconds if own.bake_seconds is None else own.bake_seconds,
    )


def _ed25519_public_key(value: Secret) -> bytes:
    # Imported where it is used: a tick that rotates nothing, as most are, does without.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(value.reveal()).public_key().public_bytes_raw()
