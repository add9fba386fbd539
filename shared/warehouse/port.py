"""The warehouse port: takes rows, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.warehouse.rows import Row

TABLE = "records"
"""The table's usual name. Questions go to the views over it, ``events`` and ``findings``."""


class Warehouse(Protocol):
    """One table of rows."""

    def insert(self, rows: Sequence[Row]) -> None:
        """Write all rows of one event, or none; on return they are safe.

        Rows that are there already show no second time in the views.

        Raises:
            StoreUnavailable: They are not written, or it is not known; insert them again.
        """
