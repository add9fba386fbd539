"""How ``rotate_secrets`` tells the audit trail what it does: in a chain that begins with the first renewal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.settings import Settings
from shared.stores.documents import DocumentStore

if TYPE_CHECKING:
    from shared.audit.writer import ChainWriter

_NAME = "rotate_secrets"


class Telling:
    """A ``shared.rotation.rotator.Tell``. Thread-safe."""

    def __init__(self, settings: Settings, documents: DocumentStore) -> None:
        """Opens nothing yet.

        Args:
            settings: Name the bus.
            documents: Where the chain's head is registered.
        """
        self._settings = settings
        self._documents = documents
        self._trail: ChainWriter | None = None
        self._lock = threading.Lock()

    def __call__(self, action: str, secret: str, detail: str) -> None:
        """Record what was done. Raises ``StoreUnavailable``."""
        from shared.audit.port import Operation, Operator  # most instances never renew anything

        done = Operation(action, f"secret:{secret}", Operator(_NAME, "function"), detail)
        self._opened().record_operation(done)

    def close(self) -> None:
        """End the chain, where there is one. Never raises."""
        if self._trail is not None:
            self._trail.close()

    def _opened(self) -> ChainWriter:
        from shared.audit.operations import operations_trail

        with self._lock:
            if self._trail is None:
                self._trail = operations_trail(self._settings, self._documents, SystemClock(), f"//wardgate/{_NAME}")
            return self._trail
