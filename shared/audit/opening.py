"""Opens the sealed prompt and answer of one request, and says so in the trail before anybody reads them."""

from __future__ import annotations

from shared.audit.content import Content, ContentSealer
from shared.audit.port import Operation, OperationTrail, Operator
from shared.audit.show import Filter, read_entries
from shared.stores.objects import ObjectStore

ACTION = "content.open"


def open_content(
    objects: ObjectStore, sealer: ContentSealer, trail: OperationTrail, who: Operator, request_id: str
) -> Content | None:
    """What was sealed of a request; None where nothing was, or the request is not in the archive.

    Args:
        objects: Holds the archive.
        sealer: Has the keys.
        trail: Is told first: what was read and not told would be worse than the reverse.
        who: Reads it.
        request_id: As in the header ``x-request-id``.

    Raises:
        ContentGone: The subject was erased.
        ContentUnreadable: It was altered, or sealed for another record.
        StoreError: A store does not answer, or there is no key.
    """
    for entry in read_entries(objects, Filter(request_id=request_id)):
        if entry.record is not None and sealer.holds(entry.record):
            trail.record_operation(Operation(ACTION, f"request:{request_id}"[:128], who))
            return sealer.open(entry.record)
    return None
