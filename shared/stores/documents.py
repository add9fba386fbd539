"""The document-store port: small documents, changed by one atomic commit that returns what its increments made.

The semantics are Firestore's, so that an adapter for it is thin: a commit takes effect whole or not
at all, an increment creates the field at zero and answers its new value, so ``increments={"n": 0}``
reads a field without a separate call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

Value = Any
"""None, bool, int (64 bit), float, str, bytes, aware datetime, or a list or str-keyed dict of these."""


class Write(Struct, frozen=True):
    """Creates a document or changes some of its fields.

    Field names in ``remove`` and ``increments`` may be paths such as ``counts.requests_17``.
    """

    path: str
    """Collection and document id, as ``keys/abc``."""

    fields: Mapping[str, Value] = field(default_factory=dict)
    """Fields to set; others stay, unless ``replace``."""

    remove: Sequence[str] = ()
    """Fields to delete."""

    increments: Mapping[str, int] = field(default_factory=dict)
    """Amount to add, by field; each new value is in the result. Zero reads."""

    replace: bool = False
    """Drop every field that this write does not set."""

    exists: bool | None = None
    """Precondition: the document must (True) or must not (False) exist."""

    updated_at: int | None = None
    """Precondition: the document's ``updated_at`` must be this."""


class Delete(Struct, frozen=True):
    """Deletes a document; without preconditions, deleting a missing one is no error."""

    path: str
    exists: bool | None = None
    updated_at: int | None = None


class WriteResult(Struct, frozen=True):
    """What one write did."""

    increments: Mapping[str, int]
    """The new value of each incremented field."""

    updated_at: int
    """The document's update time, in nanoseconds since the Unix epoch; the commit's, where it is deleted."""


class CommitResult(Struct, frozen=True):
    """What a commit did; ``results`` in the order of its writes."""

    results: tuple[WriteResult, ...]
    commit_time: int
    """The store's own time of the commit, in nanoseconds since the Unix epoch."""


class Document(Struct, frozen=True):
    """A document as read."""

    path: str
    fields: Mapping[str, Value]
    updated_at: int
    """Rises with every change, and may at a write that leaves the document as it was; usable as a precondition."""

    @property
    def id(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]


class DocumentStore(Protocol):
    """Small documents under atomic commits.

    Documents that carry an aware datetime in ``expires_at`` are deleted some time after it (Firestore's
    TTL may take a day), so readers check it themselves.

    Every method raises ``StoreUnavailable`` where the store does not answer in time, and its
    ``StoreContended`` where too many write at once.
    """

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        """Apply all writes at once.

        Raises:
            PreconditionFailed: One write's precondition does not hold; nothing was changed.
        """

    def get(self, path: str) -> Document | None:
        """Read one document, or None where it does not exist."""

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        """Documents directly in ``collection``, by id, from the one after ``after``, at most ``limit``."""
