"""Where the counts lie: documents, their fields, and the changes of one commit to them.

One document for each subject (key, user, tenant, everyone), window length and epoch::

    admission/<hash>  { <limit>_<bucket>: n, …, seq: n, expires_at: … }

The counts are no map of their own: the emulator takes twice the time of the same commit for one that changes a
field of a map, presumably since its index over the map changes as a whole. No index is wanted here at all;
``docs/admission.md`` says how to do without.

The window's length is part of a document's identity because a document lives for some windows: the
buckets of a short window beside a long one would pile up in idle hours, when nobody removes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from shared.admission.windows import EPOCH_BUCKETS
from shared.policy.types import RateLimit
from shared.stores.documents import Write

COLLECTION = "admission"
SEQ = "seq"
EXPIRES = "expires_at"

_SECOND = 1_000_000_000
_NAMED_RANGES = 64

Values = Mapping[str, Mapping[str, int]]
"""New values by document and field."""


class Charge(msgspec.Struct, frozen=True, gc=False):
    """An amount in one bucket."""

    path: str
    field: str
    amount: int
    leaves: int
    """When the bucket stops counting, in nanoseconds since the Unix epoch."""


class Names:
    """Names of fields, in order."""

    __slots__ = ("names", "zeros")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.zeros = dict.fromkeys(names, 0)
        """Increments that read them."""


class Cells:
    """Fields of one document.

    Args:
        path: The document.
        fields: Their names.
        expires: When the document is of no use any more, in nanoseconds since the Unix epoch.
    """

    __slots__ = ("expires", "fields", "path", "zeros")

    def __init__(self, path: str, fields: Names, expires: int) -> None:
        self.path = path
        self.fields = fields.names
        self.zeros = fields.zeros
        self.expires = expires


class Fields:
    """Names of a limit's fields. Those of a range are made once, since requests ask for the same ones for seconds."""

    def __init__(self, use: str, limit: RateLimit, day: int | None = None) -> None:
        # A hash: a limit's name may hold characters that a field's path cannot.
        digest = hashlib.sha256("\0".join((limit.kind, limit.name, str(day or ""))).encode()).hexdigest()
        self._prefix = f"{use}{digest[:10]}_"
        self._made: dict[range, Names] = {}

    def of(self, buckets: range) -> Names:
        """The names of these buckets' fields, within one epoch."""
        names = self._made.get(buckets)
        if names is None:
            if len(self._made) >= _NAMED_RANGES:
                self._made = {}
            names = Names(tuple(f"{self._prefix}{bucket % EPOCH_BUCKETS}" for bucket in buckets))
            self._made[buckets] = names
        return names


@lru_cache(maxsize=4096)
def document(scope: str, subject: str, epoch: str) -> str:
    """Path of a document of counts, by its epoch's name. Its id does not show whose it is."""
    identity = "\0".join((scope, subject, epoch))
    return f"{COLLECTION}/{hashlib.sha256(identity.encode()).hexdigest()[:40]}"


class Changes:
    """The changes of one commit, gathered by document."""

    def __init__(self) -> None:
        self._increments: dict[str, dict[str, int]] = {}
        self._removals: dict[str, tuple[str, ...]] = {}
        self._expires: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._increments)

    def read(self, cells: Cells) -> None:
        """Read fields, and let their document live."""
        increments = self._increments.get(cells.path)
        self._increments[cells.path] = cells.zeros | increments if increments else cells.zeros.copy()
        self._expires[cells.path] = cells.expires

    def add(self, path: str, field: str, amount: int) -> None:
        """Add ``amount`` to a field and read it."""
        increments = self._increments.setdefault(path, {})
        increments[field] = increments.get(field, 0) + amount

    def take_back(self, charges: Iterable[Charge]) -> None:
        """Undo charges."""
        for charge in charges:
            self.add(charge.path, charge.field, -charge.amount)

    def merge(self, other: Changes) -> None:
        """Make another's changes too."""
        for path, increments in other._increments.items():
            for field, amount in increments.items():
                self.add(path, field, amount)
        for path, expires in other._expires.items():
            self.keep(path, expires)

    def remove(self, path: str, fields: tuple[str, ...]) -> None:
        """Remove fields."""
        if fields:
            self._removals[path] = self._removals.get(path, ()) + fields

    def keep(self, path: str, expires: int) -> None:
        """Let the document live until ``expires``, in nanoseconds since the Unix epoch."""
        self._expires[path] = expires

    def writes(self) -> dict[str, Write]:
        """One write for each document, by its path."""
        writes = {}
        for path, increments in self._increments.items():
            expires = self._expires.get(path)
            fields = {} if expires is None else {EXPIRES: _moment(expires)}
            writes[path] = Write(path, fields, self._removals.get(path, ()), increments)
        return writes


def counts_in(fields: Mapping[str, Any]) -> dict[str, int]:
    """The counts among a document's fields, by name."""
    return {name: int(value) for name, value in fields.items() if name not in (SEQ, EXPIRES)}


@lru_cache(maxsize=256)
def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // _SECOND, UTC)
