"""Merkle tree hashes after RFC 6962, section 2.1, over SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EMPTY = hashlib.sha256(b"").digest()
"""The root of no leaves."""


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of the leaves in their order.

    Level by level: pairs are hashed together, and a node without a partner goes up as it is. That gives the
    RFC's split, by the largest power of two below the number of leaves, at every node.
    """
    sha256 = hashlib.sha256
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
        level = [*above, level[-1]] if len(level) % 2 else above
    return level[0] if level else EMPTY
