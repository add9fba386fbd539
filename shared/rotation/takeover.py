"""The first look at a secret: what was there before rotation is taken over, or the secret is made."""

from __future__ import annotations

from shared.errors import SecretNotFound
from shared.rotation.journal import Journal
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import MOST_PUBLIC_KEYS, HeldVersion
from shared.stores.secret_pointer import PublicKey
from shared.stores.secrets import SecretStore, SecretVersion


def take_over(journal: Journal, secret: ManagedSecret, store: SecretStore, *, ordered: bool) -> bool:
    """Point to the newest enabled version, and note that this one and all before it are not rotation's.

    Args:
        ordered: Whether a person asks for a new version.

    Returns:
        False where somebody has disabled every version: then only a person decides to make another.

    Raises:
        Fenced: Somebody else has taken over.
        StoreError: A store does not answer.
    """
    if journal.record.floor is not None:
        return True
    versions = _versions(secret, store)
    enabled = [version for version in versions if version.state == "enabled"]
    floor = max((version.number for version in versions), default=0)
    if enabled:
        current = HeldVersion(enabled[0].number, enabled[0].created_at)
        journal.save(
            "taken_over",
            f"version {current.number}",
            floor=floor,
            current=current,
            generation=1,
            public_keys=_public_keys(secret, store, enabled),
        )
    elif not versions or ordered:
        journal.save(floor=floor)
    else:
        return False
    return True


def _versions(secret: ManagedSecret, store: SecretStore) -> list[SecretVersion]:
    try:
        return store.versions(secret.name)
    except SecretNotFound:
        # Only now, since to create asks for a right that is not granted where Terraform has made the secrets.
        store.create(secret.name)
        return []


def _public_keys(secret: ManagedSecret, store: SecretStore, versions: list[SecretVersion]) -> tuple[PublicKey, ...]:
    if secret.public_key is None:
        return ()
    return tuple(
        PublicKey(version.number, secret.public_key(store.access(version.name, version.number)))
        for version in versions[:MOST_PUBLIC_KEYS]
    )
