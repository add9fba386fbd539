"""Firestore's documents for an event loop: the commits and reads of ``FirestoreDocuments``, awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import grpc.aio  # type: ignore[import-untyped]  # grpcio ships no types

from shared.stores.document_fields import check_collection, split_path
from shared.stores.documents import CommitResult, Delete, Document, Write
from shared.stores.firestore_channel import FIRESTORE, headers, refuse
from shared.stores.firestore_documents import decode_page, describe, is_conditional
from shared.stores.firestore_messages import GetDocumentRequest
from shared.stores.firestore_wire import decode_commit, decode_document, encode_commit, encode_page
from shared.stores.google_channel import FIRST_CALL_SECONDS, make_stubs, open_channel


class AsyncFirestoreDocuments:
    """One Firestore database from coroutines. Raises what ``FirestoreDocuments`` raises."""

    def __init__(self, project: str, database: str = "(default)", *, timeout_seconds: float = 2.0) -> None:
        """See ``FirestoreDocuments``. Each event loop has a channel of its own, made at first use."""
        self._database = f"projects/{project}/databases/{database}"
        self._timeout = timeout_seconds
        self._made: tuple[int, Any, dict[str, Callable[..., Any]]] = (0, None, {})
        self._answered = False

    async def commit(self, writes: Sequence[Write | Delete]) -> CommitResult:
        """See ``DocumentStore``."""
        request = encode_commit(self._database, writes)
        try:
            return decode_commit(await self._call("Commit", request), writes)
        except grpc.RpcError as error:
            refuse(error, describe(writes), conditional=is_conditional(writes))

    async def get(self, path: str) -> Document | None:
        """See ``DocumentStore``."""
        split_path(path)
        request = GetDocumentRequest(name=f"{self._database}/documents/{path}")
        try:
            return decode_document(await self._call("GetDocument", request), path)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            refuse(error, f"the read of {path}")

    async def page(self, collection: str, after: str, limit: int) -> Sequence[Document]:
        """Documents directly in ``collection``, by id, from the one after ``after``, at most ``limit``."""
        check_collection(collection)
        request = encode_page(self._database, collection, after, limit)
        try:
            return decode_page([answer async for answer in self._stub("RunQuery", request)], collection)
        except grpc.RpcError as error:
            refuse(error, f"the list of {collection}")

    async def _call(self, method: str, request: Any) -> Any:
        try:
            return await self._stub(method, request)
        finally:
            self._answered = True

    def _stub(self, method: str, request: Any) -> Any:
        process, loop, stubs = self._made
        if process != os.getpid() or loop is not asyncio.get_running_loop():
            stubs = self._connect()
        if self._answered:
            return stubs[method](request, timeout=self._timeout)
        return stubs[method](request, timeout=max(self._timeout, FIRST_CALL_SECONDS), wait_for_ready=True)

    def _connect(self) -> dict[str, Callable[..., Any]]:
        emulator = FIRESTORE.emulator()
        channel = open_channel(grpc.aio, FIRESTORE, emulator)
        stubs = make_stubs(channel, FIRESTORE, headers(self._database), emulator)
        self._made = (os.getpid(), asyncio.get_running_loop(), stubs)
        self._answered = False
        return stubs
