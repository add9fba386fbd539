"""Firestore as an API: its methods, what a call to a database carries, and its errors."""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import quote

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.errors import PreconditionFailed, StoreContended, StoreUnavailable
from shared.stores.firestore_messages import (
    CommitResponse,
    Document,
    GetDocumentRequest,
    RunQueryRequest,
    RunQueryResponse,
)
from shared.stores.google_channel import Api, Headers, Method

_SERVICE = "/google.firestore.v1.Firestore/"

FIRESTORE = Api(
    name="Firestore",
    host="firestore.googleapis.com:443",
    scope="https://www.googleapis.com/auth/datastore",
    emulator_variable="FIRESTORE_EMULATOR_HOST",
    methods={
        "Commit": Method(f"{_SERVICE}Commit", None, CommitResponse),
        "GetDocument": Method(f"{_SERVICE}GetDocument", GetDocumentRequest, Document),
        "RunQuery": Method(f"{_SERVICE}RunQuery", RunQueryRequest, RunQueryResponse, streams=True),
    },
)


def headers(database: str) -> Headers:
    """What every call carries: the database that Firestore routes it to.

    Args:
        database: Its full name, ``projects/{project}/databases/{database}``.
    """
    return (
        ("google-cloud-resource-prefix", database),
        ("x-goog-request-params", f"database={quote(database, safe='')}"),
    )


def refuse(error: Any, what: str, *, conditional: bool = False) -> NoReturn:
    """Raise the store's error for a ``grpc.RpcError``; told by its kind, never by the service's own words.

    Args:
        error: What gRPC raised.
        what: What was asked, for the message.
        conditional: Whether the call carried a precondition. Without one, ``NOT_FOUND`` is the database's.

    Raises:
        StoreContended: ABORTED: nothing was changed.
        PreconditionFailed: A precondition does not hold.
        ValueError: The service takes the request for malformed or too large.
        StoreUnavailable: Anything else; whether it took effect is unknown.
    """
    code = error.code()
    status = grpc.StatusCode
    if code is status.ABORTED:
        raise StoreContended(f"Firestore is contended: {what} was aborted.") from error
    if conditional and code in (status.FAILED_PRECONDITION, status.ALREADY_EXISTS, status.NOT_FOUND):
        raise PreconditionFailed(f"A precondition of {what} does not hold: {code.name}.") from error
    if code is status.INVALID_ARGUMENT:
        raise ValueError(f"Firestore does not take {what}: a value, path or size is out of bounds.") from error
    raise StoreUnavailable(f"Firestore did not serve {what}: {code.name}.") from error
