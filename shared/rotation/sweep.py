"""Finds and removes what rotations that died half-way have left: keys at the provider, versions in the store.

What may be removed is safe by the order of things alone, without a look at any clock: first both lists are
read, then the document is written. That write succeeds only if nobody else has written since this lease was
taken; and whoever takes over writes before it makes anything. So nothing in the lists belongs to a successor.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors import PreconditionFailed, SecretNotFound
from shared.rotation.journal import Journal
from shared.rotation.machine import SECOND
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import MOST_DISCARDED, RotationRecord, SetAside
from shared.stores.secret_reader import GOOD_SECONDS
from shared.stores.secrets import SecretStore, SecretVersion

FORGOTTEN_SECONDS = int(GOOD_SECONDS) + 60
"""After this no process takes a version for the current one any more, whatever it has cached."""

_MOST_NAMED = 20
"""Versions that a line of the history names."""


def sweep(journal: Journal, secret: ManagedSecret, store: SecretStore) -> None:
    """Revoke the keys and put away the versions that nothing refers to.

    Raises:
        Fenced: Somebody else has taken over.
        DriverError, StoreError: Something does not answer; the next sweep goes on.
    """
    versions = store.versions(secret.name)
    orphans = _orphaned_keys(journal.record, secret)
    _set_aside(journal, secret, versions)
    for reference in orphans:
        secret.driver.revoke(reference)
        journal.log("WARNING", "orphan_revoked", reference=reference)
    _put_away(journal, secret, store, versions)


def _orphaned_keys(record: RotationRecord, secret: ManagedSecret) -> list[str]:
    """Keys that attempts of this secret have made and that are not in use."""
    if not (secret.driver.mints and secret.driver.lists and record.attempts):
        return []
    ours, used = set(record.attempts), record.keys()
    return [key.reference for key in secret.driver.list() if key.attempt_id in ours and key.reference not in used]


def _set_aside(journal: Journal, secret: ManagedSecret, versions: Sequence[SecretVersion]) -> None:
    """Note which versions are of no use. Written in any case: the write makes sure that nobody has taken over."""
    record, now = journal.record, journal.now()
    known = record.referenced() | {aside.number for aside in record.discarded}
    floor = record.floor or 0
    unknown = {version.number for version in versions if version.state == "enabled" and version.number > floor} - known
    looked = secret.keep == "referenced" and record.retained and now >= record.looked_at + secret.timing.bake * SECOND
    unused = _unused(record, secret, now) if looked else set()
    useless = sorted(unknown | unused)
    journal.save(
        "set_aside" if useless else None,
        _numbers(useless),
        severity="WARNING" if unknown else "INFO",
        retained=tuple(aside for aside in record.retained if aside.number not in unused),
        discarded=(*record.discarded, *(SetAside(number, now) for number in useless)),
        looked_at=now if looked else record.looked_at,
    )


def _unused(record: RotationRecord, secret: ManagedSecret, now: int) -> set[int]:
    """Retained versions that nothing refers to, and that nobody can take for the current one any more."""
    forgotten = {aside.number for aside in record.retained if now >= aside.since + FORGOTTEN_SECONDS * SECOND}
    return forgotten - _in_use(secret) if forgotten else set()


def _in_use(secret: ManagedSecret) -> set[int]:
    return set() if secret.in_use is None else set(secret.in_use())


def _put_away(journal: Journal, secret: ManagedSecret, store: SecretStore, versions: Sequence[SecretVersion]) -> None:
    """Disable what was set aside, destroy it after the bake, and forget it once it is gone."""
    record, now = journal.record, journal.now()
    listed = {version.number: version for version in versions}
    crowded = {aside.number for aside in record.discarded[:-MOST_DISCARDED]}
    over = {aside.number for aside in record.discarded if now >= aside.since + secret.timing.bake * SECOND} | crowded
    wanted = over & _in_use(secret) if over and secret.keep == "referenced" else set()
    gone = set()
    for number in [aside.number for aside in record.discarded]:
        version = listed.get(number)
        if number in wanted:
            store.enable(secret.name, number)
        elif version is None or version.state == "destroyed" or version.destroy_at is not None:
            gone |= {number} & over
        elif version.state == "enabled":
            store.disable(secret.name, number)
        elif number in over and _destroyed(store, version):
            gone.add(number)
    if gone or wanted:
        journal.save(
            "put_away",
            _numbers(sorted(gone)),
            retained=(*record.retained, *(SetAside(number, now) for number in sorted(wanted))),
            discarded=tuple(aside for aside in record.discarded if aside.number not in gone | wanted),
        )


def _destroyed(store: SecretStore, version: SecretVersion) -> bool:
    """Destroy a version that is as it was listed; False where somebody has touched it since."""
    try:
        store.destroy(version.name, version.number, version.etag)
    except (PreconditionFailed, SecretNotFound):
        return False
    return True


def _numbers(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers[:_MOST_NAMED]))
