"""Erases the sealed content of a subject by deleting its key, and says so in the trail."""

from __future__ import annotations

from dataclasses import dataclass

from shared.audit.content import COLLECTION, subject_id
from shared.audit.port import Operation, OperationTrail, Operator
from shared.stores.documents import Delete, DocumentStore

ACTION = "content.erase"


@dataclass(frozen=True, slots=True)
class Erased:
    """What came of it."""

    subject: str
    """As events and the document store call it; never the user's name."""

    found: bool
    """Whether there was a key to delete."""


def parse_subject(text: str) -> str:
    """Read ``key:ID`` (or just the id) or ``user:TENANT/USER``, as ``subject_id`` makes it.

    Raises:
        ValueError: It is neither.
    """
    scope, colon, name = text.partition(":")
    if not colon and text:
        return subject_id(key_id=text)
    if scope == "key" and name:
        return subject_id(key_id=name)
    tenant, slash, user = name.partition("/")
    if scope == "user" and tenant and slash and user:
        return subject_id(tenant=tenant, user=user)
    raise ValueError("give key:ID or user:TENANT/USER")


def erase(documents: DocumentStore, trail: OperationTrail, who: Operator, subject: str) -> Erased:
    """Delete the subject's key; doing it again does nothing, and is recorded as well.

    Args:
        subject: As ``parse_subject`` reads it.

    Raises:
        StoreUnavailable: A store does not answer; run it again. The trail may say already what was not done yet,
            since what was done and not said would be worse.
    """
    path = f"{COLLECTION}/{subject}"
    found = documents.get(path) is not None
    trail.record_operation(Operation(ACTION, f"content:{subject}", who, None if found else "nothing was there"))
    documents.commit([Delete(path)])
    return Erased(subject, found)
