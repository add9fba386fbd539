"""Reads the alerts that were raised."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from shared.alerts.alert import Alert
from shared.alerts.raising import COLLECTION
from shared.errors import StoreUnavailable
from shared.shapes import prepare
from shared.stores.documents import Document, DocumentStore

_PAGE = 1000

prepare(Alert)


def read_alerts(documents: DocumentStore, now: datetime) -> Iterator[Alert]:
    """Every alert that is still kept, by the window that it is about.

    Args:
        documents: Where ``audit_alerts`` remembers them.
        now: Aware; what has expired is left out.

    Raises:
        StoreUnavailable: While iterating: the document store does not answer, or an alert is damaged.
    """
    after = ""
    while page := list(documents.list(COLLECTION, after=after, limit=_PAGE)):
        yield from (_alert(document) for document in page if document.fields["expires_at"] > now)
        after = page[-1].id


def _alert(document: Document) -> Alert:
    try:
        return msgspec.convert(dict(document.fields), Alert)
    except msgspec.ValidationError as error:
        raise StoreUnavailable(f"The alert {document.id} is damaged.") from error
