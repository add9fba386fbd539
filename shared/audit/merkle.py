"""Merkle tree hashes after RFC 6962, section 2.1, over SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EMPTY = hashlib.sha256(b"").digest()
"""The root of no leaves."""


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of the leaves in their order; holds one hash for each level, not for each leaf.

    Whole subtrees wait on a stack, the largest below, as a binary counter of the leaves so far. A subtree of
    k leaves is always the largest power of two that was left, which is the split that the RFC asks for.
    """
    waiting: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, node = 1, hashlib.sha256(b"\0" + leaf).digest()
        while waiting and waiting[-1][0] == size:
            node = _parent(waiting.pop()[1], node)
            size *= 2
        waiting.append((size, node))
    if not waiting:
        return EMPTY
    _, root = waiting.pop()
    while waiting:
        root = _parent(waiting.pop()[1], root)
    return root


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
