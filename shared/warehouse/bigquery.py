"""The warehouse on a BigQuery table, by streaming inserts over REST.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll: the rows of one request are
written all or not at all, and ``insertId`` has a row that is sent again within about a minute recognised,
which is best effort. What slips through is hidden by the views, so that a row shows once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
from google.auth.exceptions import GoogleAuthError

from shared.errors import StoreUnavailable
from shared.shapes import prepare
from shared.stores.secrets import Secret
from shared.warehouse.rows import Row
from shared.web.http_client import HttpClient, HttpError
from shared.web.log import log

SCOPE = "https://www.googleapis.com/auth/bigquery.insertdata"
BASE_URL = "https://bigquery.googleapis.com"

_CONNECT_SECONDS = 3.0
_MAX_ANSWER = 256 * 1024
_REASON = re.compile(r"[A-Za-z0-9_.]{1,64}")

_encode = msgspec.json.Encoder().encode


class Token(Protocol):
    """Gives access tokens, as ``shared.stores.access_token`` does."""

    def get(self, *, fresh: bool = False) -> Secret: ...


class _Error(msgspec.Struct):
    reason: str = ""
    location: str = ""


class _RowErrors(msgspec.Struct):
    errors: list[_Error] = []


class _Failure(msgspec.Struct):
    errors: list[_Error] = []


class _Answer(msgspec.Struct, rename="camel"):
    insert_errors: list[_RowErrors] = []
    error: _Failure | None = None


prepare(_Answer)


class BigQueryWarehouse:
    """``Warehouse`` on one table, which Terraform makes.

    Whatever BigQuery answers but success is a ``StoreUnavailable``: rows are made here, so one that the table
    does not take means a table that is not ours, which an operator mends, and no fault of the event.
    """

    def __init__(
        self,
        project: str,
        dataset: str,
        table: str,
        token: Token | None,
        *,
        base_url: str = BASE_URL,
        timeout_seconds: float = 8.0,
    ) -> None:
        """Connects at first use.

        Args:
            project: The Google Cloud project's id.
            dataset: The dataset's id.
            table: The table's id.
            token: Gives access tokens; None: an emulator is called, which wants none.
            base_url: Where the API is.
            timeout_seconds: How long one insert may take.
        """
        self._path = f"/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}/insertAll"
        self._token = token
        self._timeout = timeout_seconds
        self._client = HttpClient(base_url, connect_timeout=_CONNECT_SECONDS)

    def insert(self, rows: Sequence[Row]) -> None:
        """See ``Warehouse``."""
        body = _encode({"rows": [{"insertId": _insert_id(row), "json": row} for row in rows]})
        deadline = time.monotonic() + self._timeout
        status, answer = self._send(body, deadline, fresh=False)
        if status == 401 and self._token is not None:  # revoked before its time
            status, answer = self._send(body, deadline, fresh=True)
        if status != 200 or answer.insert_errors:
            self._refuse(status, answer)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._client.close()

    def _send(self, body: bytes, deadline: float, *, fresh: bool) -> tuple[int, _Answer]:
        headers = {"content-type": "application/json"}
        try:
            if self._token is not None:
                headers["authorization"] = f"Bearer {self._token.get(fresh=fresh).reveal().decode()}"
            with self._client.send("POST", self._path, headers=headers, body=body, deadline=deadline) as response:
                return response.status, _read(response.read(_MAX_ANSWER))
        except HttpError as error:
            raise StoreUnavailable(f"BigQuery did not answer: {type(error).__name__}.") from error
        except GoogleAuthError as error:
            raise StoreUnavailable("There are no credentials for BigQuery, or they cannot be renewed.") from error

    def _refuse(self, status: int, answer: _Answer) -> None:
        """Tell by BigQuery's own codes, never by its words, which may repeat a row."""
        failed = [error for row in answer.insert_errors for error in row.errors] + (
            answer.error.errors if answer.error else []
        )
        # "stopped" is said of every sound row beside one that is not.
        worst = next((error for error in failed if error.reason != "stopped"), _Error())
        reason, location = (text if _REASON.fullmatch(text) else "" for text in (worst.reason, worst.location))
        log("ERROR", "warehouse.refused", status=status, reason=reason, column=location)
        raise StoreUnavailable(f"BigQuery did not take the rows: status {status}, {reason or 'no reason'}.")


def _insert_id(row: Row) -> str:
    return f"{row['chain_uid']}/{row['seq']}/{row['finding']}"


def _read(data: bytes) -> _Answer:
    """The answer as far as it is understood; a proxy's page on the way is not."""
    try:
        return msgspec.json.decode(data, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Answer(error=_Failure([_Error("not_understood")]))
