"""Takes events off the bus into the warehouse."""

from __future__ import annotations

from collections.abc import Mapping

from shared.audit.delivery import read_delivered
from shared.policy.types import ModelAlias
from shared.warehouse.port import Warehouse
from shared.warehouse.rows import rows_of


class WarehouseSink:
    """Every event of the trail becomes rows, whatever its type."""

    def __init__(self, warehouse: Warehouse, models: Mapping[str, ModelAlias]) -> None:
        """
        Args:
            warehouse: Keeps the rows.
            models: The policy's, whose prices say what an event cost.
        """
        self._warehouse = warehouse
        self._models = models

    def store(self, attributes: Mapping[str, str], data: bytes) -> None:
        """Store one event; storing it again shows nothing twice.

        Raises:
            BadRequest: It is not a record of this trail, or the envelope is another event's.
            StoreUnavailable: The warehouse does not take it; the event must be sent again.
        """
        self._warehouse.insert(rows_of(read_delivered(attributes, data), self._models))
