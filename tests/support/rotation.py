"""What rotation is tried on: a provider of keys, a secret store in memory, and readers that are served or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from msgspec.structs import replace

from shared.clock import Clock
from shared.errors import PreconditionFailed, SecretNotFound
from shared.rotation.drivers.port import Driver, KeyNotAccepted, ListedKey, NewKey
from shared.rotation.machine import Timing
from shared.rotation.managed import ManagedSecret
from shared.rotation.record import RotationRecord
from shared.rotation.schedule import read_record
from shared.stores.documents import DocumentStore
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret, SecretStore, SecretVersion

NAME = "upstream-key"
HOUR = 3600
TIMING = Timing(period=90 * 24 * HOUR, grace=HOUR, bake=24 * HOUR)


class Provider:
    """A provider of keys in a SQLite file that processes share. It tells a key's value once, as providers do."""

    mints = True
    lists = True

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS keys (reference, attempt, value, live)")

    def create(self, attempt_id: str) -> NewKey:
        reference, value = f"key_{token_hex(8)}", f"sk-{token_hex(16)}"
        with self._connection() as connection:
            connection.execute("INSERT INTO keys VALUES (?, ?, ?, 1)", (reference, attempt_id, value))
        return NewKey(Secret(value.encode()), reference)

    def test(self, value: Secret) -> None:
        if not self.accepts(value):
            raise KeyNotAccepted("The key does not work.")

    def revoke(self, reference: str) -> None:
        with self._connection() as connection:
            connection.execute("UPDATE keys SET live = 0 WHERE reference = ?", (reference,))

    def list(self) -> list[ListedKey]:
        with self._connection() as connection:
            return [ListedKey(*row) for row in connection.execute("SELECT reference, attempt FROM keys WHERE live")]

    def accepts(self, value: Secret) -> bool:
        """Whether a call with this key would be served."""
        with self._connection() as connection:
            found = connection.execute("SELECT 1 FROM keys WHERE live AND value = ?", (value.reveal().decode(),))
            return found.fetchone() is not None

    def values(self) -> list[str]:
        """Every value that was ever told, to look for where it must not be."""
        with self._connection() as connection:
            return [row[0] for row in connection.execute("SELECT value FROM keys")]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=20, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()


@dataclass
class MemoryProvider:
    """As ``Provider``, in memory."""

    mints: bool = True
    lists: bool = True
    keys: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Live keys: reference → attempt, value."""

    def create(self, attempt_id: str) -> NewKey:
        reference, value = f"key_{token_hex(8)}", f"sk-{token_hex(16)}".encode()
        self.keys[reference] = (attempt_id, value)
        return NewKey(Secret(value), reference)

    def test(self, value: Secret) -> None:
        if not self.accepts(value):
            raise KeyNotAccepted("The key does not work.")

    def revoke(self, reference: str) -> None:
        self.keys.pop(reference, None)

    def list(self) -> list[ListedKey]:
        return [ListedKey(reference, attempt) for reference, (attempt, _) in self.keys.items()]

    def accepts(self, value: Secret) -> bool:
        return value.reveal() in [known for _, known in self.keys.values()]


class MemorySecrets:
    """A secret store in memory, on a clock; new versions may be seen late, as far away from where they were made."""

    def __init__(self, clock: Clock, *, seen_after: int = 0) -> None:
        """
        Args:
            clock: Dates the versions.
            seen_after: Nanoseconds until a new version can be listed and read.
        """
        self._clock = clock
        self.seen_after = seen_after
        self._versions: dict[str, list[tuple[SecretVersion, bytes]]] = {}
        self._labels: dict[str, dict[str, int]] = {}

    def access(self, name: str, number: int) -> Secret:
        version, value = self._at(name, number)
        if version.state != "enabled":
            raise PreconditionFailed(f"Version {number} of '{name}' is {version.state}.")
        return Secret(value)

    def add(self, name: str, value: bytes) -> SecretVersion:
        if not 1 <= len(value) <= 65_536:
            raise ValueError(f"A secret holds 1 to 65536 bytes; this value has {len(value)}.")
        versions = self._all(name)
        added = SecretVersion(name, len(versions) + 1, "enabled", self._clock.time_ns(), etag="enabled")
        versions.append((added, value))
        return added

    def create(self, name: str) -> bool:
        if not (0 < len(name) < 256 and name.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(f"{name!r} is no name.")
        new = name not in self._versions
        self._versions.setdefault(name, [])
        return new

    def versions(self, name: str) -> list[SecretVersion]:
        return [version for version, _ in reversed(self._all(name)) if self._is_seen(version)]

    def enable(self, name: str, number: int) -> None:
        self._change(name, number, "enabled")

    def disable(self, name: str, number: int) -> None:
        self._change(name, number, "disabled")

    def destroy(self, name: str, number: int, etag: str | None = None) -> None:
        version, _ = self._at(name, number)
        if version.state == "destroyed":
            return
        if etag is not None and etag != version.etag:
            raise PreconditionFailed(f"Version {number} of '{name}' was changed.")
        self._change(name, number, "destroyed")

    def label(self, name: str, labels: Mapping[str, int]) -> None:
        self._all(name)
        self._labels.setdefault(name, {}).update(labels)

    def labels(self, name: str) -> dict[str, int]:
        self._all(name)
        return dict(self._labels.get(name, {}))

    def _change(self, name: str, number: int, state: str) -> None:
        version, value = self._at(name, number)
        if version.state == "destroyed":
            raise PreconditionFailed(f"Version {number} of '{name}' is destroyed.")
        kept = b"" if state == "destroyed" else value
        self._all(name)[number - 1] = (replace(version, state=state, etag=state), kept)  # type: ignore[arg-type]

    def _all(self, name: str) -> list[tuple[SecretVersion, bytes]]:
        if name not in self._versions:
            raise SecretNotFound(f"There is no secret '{name}'.")
        return self._versions[name]

    def _at(self, name: str, number: int) -> tuple[SecretVersion, bytes]:
        versions = self._all(name)
        if not 1 <= number <= len(versions) or not self._is_seen(versions[number - 1][0]):
            raise SecretNotFound(f"There is no version {number} of '{name}'.")
        return versions[number - 1]

    def _is_seen(self, version: SecretVersion) -> bool:
        return self._clock.time_ns() >= version.created_at + self.seen_after


def managed(driver: Driver, timing: Timing = TIMING) -> ManagedSecret:
    """A secret of the provider's."""
    return ManagedSecret(NAME, driver, timing)


def is_served(reader: SecretReader, accepts: Callable[[Secret], bool]) -> bool:
    """Whether a call with the reader's key is served, tried as an upstream's adapter tries it."""
    if accepts(reader.get(NAME)) or accepts(reader.refresh(NAME).secret):
        return True
    previous = reader.previous(NAME)
    return previous is not None and accepts(previous)


def assert_settled(store: SecretStore, documents: DocumentStore, driver: Driver) -> RotationRecord:
    """See that a finished rotation has left one live key, one readable version, and nothing else."""
    record = read_record(documents, NAME)
    assert record.state == "IDLE"
    assert record.lease_owner is None
    assert record.current is not None
    assert (record.previous, record.pending, record.discarded) == (None, None, ())
    states = {version.number: version.state for version in store.versions(NAME)}
    assert states == {**dict.fromkeys(states, "destroyed"), record.current.number: "enabled"}
    assert [key.reference for key in driver.list()] == [record.current.reference]
    value = store.access(NAME, record.current.number)
    if isinstance(driver, Provider | MemoryProvider):
        assert driver.accepts(value)  # whatever a test has made of `test`
    else:
        driver.test(value)
    return record
