"""The object-store port: whole objects, written once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ObjectStore(Protocol):
    """Immutable objects by name, such as ``archive/2026/11/23/….json``.

    Every method raises ``StoreUnavailable`` where the store does not answer in time.
    """

    def create(self, name: str, data: bytes) -> bool:
        """Write the object if no object has this name; False where one has."""

    def read(self, name: str) -> bytes | None:
        """The object's bytes, or None where there is none."""

    def list(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Names that start with ``prefix``, in order, from the one after ``after``, which need not exist."""

    def folders(self, prefix: str) -> Iterator[str]:
        """The folders directly in ``prefix``, in order: what follows it in names, up to and with the next slash.

        Args:
            prefix: Empty, or ends in a slash.
        """
