"""The spool's deliverer, taken a step at a time, for tests that look between two tries."""

from __future__ import annotations

from shared.local.deliverer import Deliverer


class SteppedDeliverer(Deliverer):
    """Delivers when it is told to, in place of ``run``."""

    def deliver_once(self) -> int:
        """What each sink's loop does once: try the deliveries that are due, and say how many were tried."""
        return sum(self._deliver_due(sink) for sink in self._sinks)
