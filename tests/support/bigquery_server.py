"""BigQuery's REST interface as far as streaming inserts go, with its failures.

After https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll and
https://cloud.google.com/bigquery/docs/error-messages: the table's schema decides about each row; one bad
row and none is written, the others being "stopped"; ``insertId`` drops a row that came just before.
Rows can be asked questions through the views that are published for BigQuery, by SQLite.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from shared.warehouse.schema import VIEWS, bigquery_schema, published
from tests.support.loopback import Handler, LoopbackServer

PROJECT, DATASET, TABLE = "test-project", "audit", "records"
PATH = f"/bigquery/v2/projects/{PROJECT}/datasets/{DATASET}/tables/{TABLE}/insertAll"

Answer = tuple[int, Any]

UNAVAILABLE: Answer = (503, {"error": {"code": 503, "errors": [{"reason": "backendError"}]}})
QUOTA: Answer = (403, {"error": {"code": 403, "errors": [{"reason": "quotaExceeded", "message": "a secret row"}]}})
PROXY: Answer = (502, "<html>Bad gateway</html>")

_CHECKS: dict[str, Callable[[Any], bool]] = {
    "STRING": lambda value: type(value) is str,
    "INTEGER": lambda value: type(value) is int,
    "FLOAT": lambda value: type(value) in (int, float),
    "BOOLEAN": lambda value: type(value) is bool,
    "DATE": lambda value: bool(date.fromisoformat(value)),
    "TIMESTAMP": lambda value: datetime.fromisoformat(value).tzinfo is not None,
}


class BigQueryServer(LoopbackServer):
    """A context manager; ``origin`` is for ``BIGQUERY_EMULATOR_HOST``."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__(self._handler())
        self.token = token
        """The one access token that is good; None: none is wanted."""

        self.rows: list[dict[str, Any]] = []
        """What the table holds, in the order it came."""

        self.remembers = True
        """Whether rows with an ``insertId`` that came before are dropped; it is best effort."""

        self.requests = 0
        self.failures: list[Answer | float] = []
        """Given to the next requests in place of an answer; a number: so many seconds of silence first."""

        self.failures_after: list[Answer] = []
        """The same, but the rows are written first: an answer that is lost."""

        self.schema: dict[str, dict[str, str]] = {field["name"]: field for field in json.loads(bigquery_schema())}
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a question about the views."""
        names = list(self.schema)
        with sqlite3.connect(":memory:") as database:
            database.execute(f"CREATE TABLE {TABLE} ({', '.join(names)})")
            marks = ", ".join("?" for _ in names)
            values = [tuple(row.get(name) for name in names) for row in self.rows]
            database.executemany(f"INSERT INTO {TABLE} VALUES ({marks})", values)
            for view in VIEWS:
                select = published()[f"warehouse_{view}.sql"].replace("${table}", TABLE)
                database.execute(f"CREATE VIEW {view} AS {select}")
            found = database.execute(query).fetchall()
        database.close()
        return found

    def insert_all(self, path: str, authorization: str | None, body: bytes) -> Answer:
        """Answer one request."""
        with self._lock:
            self.requests += 1
            if self.failures and isinstance(failure := self.failures.pop(0), tuple):
                return failure
            if path != PATH:
                return 404, {"error": {"code": 404, "errors": [{"reason": "notFound"}]}}
            if self.token is not None and authorization != f"Bearer {self.token}":
                return 401, {"error": {"code": 401, "errors": [{"reason": "authError"}]}}
            answer = self._insert(json.loads(body)["rows"])
            return self.failures_after.pop(0) if self.failures_after else answer

    def _insert(self, rows: list[dict[str, Any]]) -> Answer:
        faults = [self._faults(row["json"]) for row in rows]
        if any(faults):
            stopped = [{"reason": "stopped", "location": "", "message": ""}]
            errors = [{"index": index, "errors": found or stopped} for index, found in enumerate(faults)]
            return 200, {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors}
        for row in rows:
            if not (self.remembers and row["insertId"] in self._ids):
                self.rows.append(row["json"])
            self._ids.add(row["insertId"])
        return 200, {"kind": "bigquery#tableDataInsertAllResponse"}

    def _faults(self, row: dict[str, Any]) -> list[dict[str, str]]:
        missing = [name for name, field in self.schema.items() if field["mode"] == "REQUIRED" and name not in row]
        unknown = [name for name in row if name not in self.schema]
        wrong = [name for name in row if name in self.schema and not _fits(self.schema[name]["type"], row[name])]
        return [
            {"reason": "invalid", "location": name, "message": f"a secret {row.get(name)}"}
            for name in [*missing, *unknown, *wrong]
        ]

    def _handler(server) -> type[Handler]:
        class Rows(Handler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet, or each answer waits for an acknowledgement

            def do_POST(self) -> None:
                body = self.body()
                if server.failures and isinstance(server.failures[0], float):
                    time.sleep(server.failures.pop(0))
                status, answer = server.insert_all(self.path, self.headers.get("authorization"), body)
                with suppress(ConnectionError):  # who gave up waiting has left
                    self.send(status, (answer if isinstance(answer, str) else json.dumps(answer)).encode())

        return Rows


def _fits(kind: str, value: Any) -> bool:
    try:
        return _CHECKS[kind](value)
    except (ValueError, TypeError, AttributeError):
        return False
