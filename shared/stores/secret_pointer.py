"""Which versions of a secret readers use: the part of its rotation document that readers read.

The pointer is the one place where a rotation takes effect: ``latest``, aliases and version states of
Secret Manager are only eventually consistent, and say nothing of a version that has not been tested yet.
"""

from __future__ import annotations

import msgspec

from shared.shapes import prepare
from shared.stores.documents import DocumentStore

COLLECTION = "rotation"


class PointedVersion(msgspec.Struct, frozen=True):
    """A version by its number."""

    number: int


class PublicKey(msgspec.Struct, frozen=True):
    """The public part of a version that signs; stays known when the version itself is gone."""

    number: int
    key: bytes


class Pointer(msgspec.Struct, frozen=True):
    """What readers know of a secret."""

    generation: int = 0
    """Rises by one whenever ``current`` changes."""

    current: PointedVersion | None = None
    """The version to use; None: rotation has not made or found one yet."""

    previous: PointedVersion | None = None
    """The one before, still good in the grace period."""

    public_keys: tuple[PublicKey, ...] = ()
    """Public keys of versions that signed, sign or will sign; newest first."""


prepare(Pointer)


def pointer_path(name: str) -> str:
    """Path of the secret's rotation document."""
    return f"{COLLECTION}/{name}"


def read_pointer(documents: DocumentStore, name: str) -> Pointer:
    """The pointer of a secret; an empty one where nothing has rotated it yet.

    Raises:
        StoreUnavailable: The document store does not answer.
    """
    document = documents.get(pointer_path(name))
    return Pointer() if document is None else msgspec.convert(document.fields, Pointer)
