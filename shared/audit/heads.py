"""The head registry: how far each chain has come, outside of the archive, so that a cut end shows.

A document for each chain, ``audit_heads/<chain_uid>``: ``seq`` and ``fingerprint`` of the newest record up to
which the bus has acknowledged everything, ``opened_at`` (RFC 3339) and ``closed``. It is written before the chain's
first interaction, every 16 events and at the close, and never claims an event that only this process knows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from shared.errors import StoreError
from shared.stores.documents import DocumentStore, Write
from shared.web.log import log

COLLECTION = "audit_heads"
EVERY = 16
"""Events after which a chain's head is written again."""

_PAUSE = 1_000_000_000
"""After a failure, nanoseconds for which the store is left alone, so that not every request waits for it."""


@dataclass(frozen=True, slots=True)
class Head:
    """A chain as far as the bus has all of it."""

    chain_uid: str
    seq: int
    fingerprint: str
    opened_at: str
    closed: bool = False


class Heads:
    """Writes heads, as well as it can."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._paused_until = 0

    @property
    def ready(self) -> bool:
        """Whether the store may be asked now."""
        return time.monotonic_ns() >= self._paused_until

    def register(self, head: Head) -> bool:
        """Write a head; False where that failed, which is logged."""
        fields = {
            "seq": head.seq,
            "fingerprint": head.fingerprint,
            "opened_at": head.opened_at,
            "closed": head.closed,
        }
        try:
            self._documents.commit([Write(f"{COLLECTION}/{head.chain_uid}", fields=fields)])
        except StoreError as error:
            self._paused_until = time.monotonic_ns() + _PAUSE
            log("WARNING", "audit.head_unregistered", chain_uid=head.chain_uid, error=type(error).__name__)
            return False
        return True
