"""The head registry: how far each chain has come, outside of the archive, so that a cut end shows.

A document for each chain, ``audit_heads/<chain_uid>``: ``seq`` and ``fingerprint`` of the newest record up to
which the bus has acknowledged everything, ``opened_at`` (RFC 3339) and ``closed``. It is written before the chain's
first interaction, every 16 events and at the close, and never claims an event that only this process knows.
"""

from __future__ import annotations

import time

from shared.audit.chain import Chain, Head
from shared.errors import StoreError
from shared.stores.documents import DocumentStore, Write
from shared.web.log import log

COLLECTION = "audit_heads"
EVERY = 16
"""Events after which a chain's head is written again."""

_PAUSE = 1_000_000_000
"""After a failure, nanoseconds for which the store is left alone, so that not every request waits for it."""


class Heads:
    """Writes heads, as well as it can: a failure is logged, and a later event tries again."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._paused_until = 0

    def is_due(self, chain: Chain) -> bool:
        """Whether the caller, who holds the chain's lock, is to register it now: one thread at a time."""
        if chain.registering or time.monotonic_ns() < self._paused_until or (head := chain.known()) is None:
            return False
        chain.registering = chain.registered < 0 or head.seq - chain.registered >= EVERY
        return chain.registering

    def register(self, chain: Chain, head: Head | None) -> None:
        """Write a head of the chain. Never raises a store's error."""
        try:
            if head is not None and self._write(chain.uid, head):
                chain.registered = max(chain.registered, head.seq)
        finally:
            chain.registering = False

    def _write(self, chain_uid: str, head: Head) -> bool:
        fields = {
            "seq": head.seq,
            "fingerprint": head.fingerprint,
            "opened_at": head.opened_at,
            "closed": head.closed,
        }
        try:
            self._documents.commit([Write(f"{COLLECTION}/{chain_uid}", fields=fields)])
        except StoreError as error:
            self._paused_until = time.monotonic_ns() + _PAUSE
            log("WARNING", "audit.head_unregistered", chain_uid=chain_uid, error=type(error).__name__)
            return False
        return True
