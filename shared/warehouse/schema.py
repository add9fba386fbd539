"""The table's and views' definitions for BigQuery and SQLite, made from the columns.

python -m shared.warehouse.schema   # writes docs/schemas/warehouse*.{json,sql}, which Terraform reads
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from shared.warehouse.columns import COLUMNS, EVENT_COLUMNS, FINDING_COLUMNS, Column, Type
from shared.warehouse.port import TABLE

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"

_SQLITE_TYPES: dict[Type, str] = {
    "STRING": "TEXT",
    "INTEGER": "INTEGER",
    "FLOAT": "REAL",
    "BOOLEAN": "INTEGER",
    "DATE": "TEXT",
    "TIMESTAMP": "TEXT",
}


def bigquery_schema() -> str:
    """The table's schema as BigQuery's tools and Terraform take it."""
    fields = [
        {
            "name": column.name,
            "type": column.type,
            "mode": "REQUIRED" if column.required else "NULLABLE",
            "description": column.description,
        }
        for column in COLUMNS
    ]
    return json.dumps(fields, indent=2) + "\n"


def sqlite_schema() -> str:
    """The statements that make the table and its views in SQLite."""
    lines = [f"{each.name} {_SQLITE_TYPES[each.type]}{' NOT NULL' if each.required else ''}" for each in COLUMNS]
    table = f"CREATE TABLE {TABLE} ({', '.join(lines)}, PRIMARY KEY (chain_uid, seq, finding))"
    views = (f"CREATE VIEW {name} AS {view_query(name, TABLE)}" for name in VIEWS)
    return "; ".join([table, f"CREATE INDEX by_day ON {TABLE} (day)", *views])


VIEWS = ("events", "findings")


def view_query(view: str, table: str) -> str:
    """What a view selects, in SQL that BigQuery and SQLite read alike.

    BigQuery's streaming inserts recognise a row that is sent again only for about a minute, so a view shows
    one of the rows that stand for the same thing. ``day`` is among the partition's columns, of which a
    filter can be applied before the rows are numbered: else every question would read the whole table.

    Args:
        view: ``events`` or ``findings``.
        table: The table, as the dialect quotes it.
    """
    columns: Sequence[Column] = EVENT_COLUMNS if view == "events" else FINDING_COLUMNS
    names = ", ".join(column.name for column in columns)
    rows = "finding = 0" if view == "events" else "finding > 0"
    numbered = "ROW_NUMBER() OVER (PARTITION BY day, chain_uid, seq, finding ORDER BY fingerprint) AS copy"
    return f"SELECT {names} FROM (SELECT *, {numbered} FROM {table} WHERE {rows}) AS numbered WHERE copy = 1"  # noqa: S608  # names of our own


def published() -> dict[str, str]:
    """The files under ``docs/schemas``: name and content. ``${table}`` stands for the table's full name."""
    views = {f"warehouse_{view}.sql": view_query(view, "`${table}`") + "\n" for view in VIEWS}
    return {"warehouse.json": bigquery_schema(), **views}


if __name__ == "__main__":
    for name, content in published().items():
        (FOLDER / name).write_text(content)
