"""What writers and the sealer register in the document store: a witness outside of the object store."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from shared.audit.chains import Head
from shared.audit.record import timestamp
from shared.stores.documents import DocumentStore, Write

HEADS = "audit_heads"
"""Collection of the heads of chains: ``seq``, ``fingerprint``, ``opened_at``, ``closed``, by ``chain_uid``."""

_NEWEST = "audit_seals/newest"
"""Document with the newest checkpoint's number and hash."""

_UID = re.compile(r"[0-9a-f]{32}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def read_heads(documents: DocumentStore) -> Iterator[Head]:
    """Every registered head, by chain.

    Raises:
        StoreUnavailable: While iterating: the store does not answer.
    """
    for document in documents.list(HEADS, limit=sys.maxsize):
        seq, fingerprint = document.fields.get("seq"), document.fields.get("fingerprint")
        if _UID.fullmatch(document.id) and isinstance(seq, int) and _FINGERPRINT.fullmatch(str(fingerprint)):
            closed = document.fields.get("closed") is True
            opened_at = str(document.fields.get("opened_at", ""))
            yield Head(document.id, seq, str(fingerprint), closed, opened_at, timestamp(document.updated_at))


def read_witness(documents: DocumentStore) -> tuple[int, str] | None:
    """Number and hash of the newest checkpoint that a sealer has registered.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    document = documents.get(_NEWEST)
    if document is None:
        return None
    return int(document.fields["number"]), str(document.fields["hash"])


def register_checkpoint(documents: DocumentStore, number: int, digest: str) -> None:
    """Note the newest checkpoint.

    Raises:
        StoreError: The store does not answer.
    """
    documents.commit([Write(_NEWEST, fields={"number": number, "hash": digest})])
