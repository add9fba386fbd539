"""The document store on Firestore, over gRPC with message descriptors of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.stores.document_fields import check_collection, split_path
from shared.stores.documents import CommitResult, Delete, Document, Write
from shared.stores.firestore_channel import FIRESTORE, headers, refuse
from shared.stores.firestore_messages import GetDocumentRequest
from shared.stores.firestore_wire import decode_commit, decode_document, encode_commit, encode_page
from shared.stores.google_channel import Calls

_PAGE_DOCUMENTS = 100


class FirestoreDocuments:
    """``DocumentStore`` on one Firestore database in native mode.

    Speaks to the emulator where ``FIRESTORE_EMULATOR_HOST`` is set, else to Firestore with application
    default credentials. Every call is sent once, under its deadline. Instances of a process share a channel.

    ``commit_time`` and ``updated_at`` are the service's own, in whole microseconds. A write that leaves a
    document as it was, such as one of zero increments alone, may keep the document's ``updated_at``.
    """

    def __init__(self, project: str, database: str = "(default)", *, timeout_seconds: float = 2.0) -> None:
        """Connects at first use.

        Args:
            project: The Google Cloud project's id.
            database: The database's id.
            timeout_seconds: Deadline of one call. A process's first, which connects, has at least
                ``google_channel.FIRST_CALL_SECONDS``.
        """
        self._database = f"projects/{project}/databases/{database}"
        self._timeout = timeout_seconds
        self._calls = Calls(FIRESTORE, headers(self._database))

    def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        """See ``DocumentStore``.

        Raises:
            PreconditionFailed: One write's precondition does not hold; nothing was changed.
            StoreContended: Too many writers at once; nothing was changed.
            StoreUnavailable: Not answered in time; whether it took effect is unknown.
        """
        request = encode_commit(self._database, writes)
        try:
            response = self._calls.unary("Commit", request, self._timeout)
        except grpc.RpcError as error:
            refuse(error, describe(writes), conditional=is_conditional(writes))
        return decode_commit(response, writes)

    def get(self, path: str) -> Document | None:
        """See ``DocumentStore``."""
        split_path(path)
        request = GetDocumentRequest(name=f"{self._database}/documents/{path}")
        try:
            return decode_document(self._calls.unary("GetDocument", request, self._timeout), path)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            refuse(error, f"the read of {path}")

    def list(self, collection: str, *, after: str = "", limit: int = 1000) -> Iterator[Document]:
        """See ``DocumentStore``. Reads a page at a time, so documents that change meanwhile may show either state."""
        check_collection(collection)
        return self._pages(collection, after, limit)

    def _pages(self, collection: str, after: str, limit: int) -> Iterator[Document]:
        while limit > 0:
            size = min(limit, _PAGE_DOCUMENTS)
            documents = self._page(collection, after, size)
            yield from documents
            if len(documents) < size:
                return
            after = documents[-1].id
            limit -= size

    def _page(self, collection: str, after: str, size: int) -> Sequence[Document]:
        try:
            answers = self._calls.stream(
                "RunQuery", encode_page(self._database, collection, after, size), self._timeout
            )
        except grpc.RpcError as error:
            refuse(error, f"the list of {collection}")
        return decode_page(answers, collection)


def decode_page(answers: Sequence[Any], collection: str) -> Sequence[Document]:
    """The documents in a query's answers, some of which hold none."""
    found = (answer.document for answer in answers if answer.HasField("document"))
    return [decode_document(message, f"{collection}/{message.name.rpartition('/')[2]}") for message in found]


def describe(writes: Sequence[Write | Delete]) -> str:
    """What a commit was about, for an error's message."""
    return f"the commit to {writes[0].path}" if len(writes) == 1 else f"a commit of {len(writes)} writes"


def is_conditional(writes: Sequence[Write | Delete]) -> bool:
    """Whether a write carries a precondition."""
    return any(write.exists is not None or write.updated_at is not None for write in writes)
