"""The warehouse on one SQLite file, for a machine without a cloud account."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from shared.stores.sqlite import Database
from shared.warehouse.columns import COLUMNS
from shared.warehouse.port import TABLE
from shared.warehouse.rows import Row
from shared.warehouse.schema import sqlite_schema

_APPLICATION_ID = 0x57475731  # "WGW1"
_INSERT = (
    f"INSERT INTO {TABLE} ({', '.join(column.name for column in COLUMNS)}) "  # noqa: S608  # names of our own
    f"VALUES ({', '.join('?' for _ in COLUMNS)}) ON CONFLICT DO NOTHING"
)


class SqliteWarehouse:
    """``Warehouse`` on a SQLite file that any number of processes and threads may share."""

    def __init__(self, path: Path, *, timeout_seconds: float = 5.0) -> None:
        """Opens nothing yet; ``timeout_seconds`` is how long ``insert`` may wait for others."""
        self._database = Database(
            path,
            kind="warehouse's rows",
            application_id=_APPLICATION_ID,
            schema=sqlite_schema(),
            timeout_seconds=timeout_seconds,
        )

    def insert(self, rows: Sequence[Row]) -> None:
        """See ``Warehouse``."""
        values = [tuple(row.get(column.name) for column in COLUMNS) for row in rows]
        self._database.transaction(lambda connection: _insert(connection, values))

    def close(self) -> None:
        """Close this process's connections."""
        self._database.close()


def _insert(connection: sqlite3.Connection, values: Sequence[tuple[object, ...]]) -> None:
    connection.executemany(_INSERT, values)
