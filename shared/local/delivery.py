"""Takes events to the sinks, as far as the supervisor has to see to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from shared.errors import StoreError
from shared.local.deliverer import Deliverer


class Delivery(Protocol):
    """Events on their way to the sinks."""

    failure: StoreError | None
    """Why delivery has ended by itself."""

    def start(self) -> None:
        """Deliver from now on."""

    def is_at_work(self) -> bool:
        """Whether events are being delivered now."""

    def pending(self) -> int:
        """Deliveries still to be made.

        Raises:
            StoreUnavailable: That cannot be told.
        """

    def stop(self) -> None:
        """Stop after the deliveries under way; call it when the sinks have ended, so that none can hang."""


class SpoolDelivery:
    """A ``Deliverer`` at work in the background, in threads of the supervisor."""

    def __init__(self, spool: Path, sinks: Mapping[str, str], *, niceness: int, on_failure: Callable[[], None]) -> None:
        """Does not start yet.

        Args:
            spool: The spool's file.
            sinks: URL of each sink by its name.
            niceness: How far delivery steps back behind the functions.
            on_failure: Called, in another thread, when delivery has ended by itself; ``failure`` then says why.
        """
        self.failure: StoreError | None = None
        """See ``Delivery``."""

        self._deliverer = Deliverer(spool, sinks)
        self._niceness = niceness
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """See ``Delivery``."""
        self._thread.start()

    def is_at_work(self) -> bool:
        """See ``Delivery``."""
        return self._thread.is_alive()

    def pending(self) -> int:
        """See ``Delivery``."""
        return self._deliverer.pending()

    def stop(self) -> None:
        """See ``Delivery``."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._deliverer.close()

    def _run(self) -> None:
        # On Linux this is the thread's own niceness, which the threads that it starts inherit; elsewhere
        # it is the process's, and the supervisor has little else to do.
        os.nice(self._niceness)
        try:
            self._deliverer.run(self._stop)
        except StoreError as error:
            self.failure = error
            self._on_failure()
