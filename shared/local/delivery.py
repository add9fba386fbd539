"""Takes events from the spool to the sinks, in threads of the supervisor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.errors import StoreError
from shared.local.deliverer import Deliverer


class Delivery:
    """A ``Deliverer`` at work in the background."""

    def __init__(self, spool: Path, sinks: Mapping[str, str], *, niceness: int, on_failure: Callable[[], None]) -> None:
        """Does not start yet.

        Args:
            spool: The spool's file.
            sinks: URL of each sink by its name.
            niceness: How far delivery steps back behind the functions.
            on_failure: Called, in another thread, when delivery has ended by itself; ``failure`` then says why.
        """
        self.failure: StoreError | None = None
        self._deliverer = Deliverer(spool, sinks)
        self._niceness = niceness
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Deliver from now on."""
        self._thread.start()

    def is_at_work(self) -> bool:
        """Whether events are being delivered now."""
        return self._thread.is_alive()

    def pending(self) -> int:
        """Deliveries still to be made.

        Raises:
            StoreUnavailable: The spool cannot be read.
        """
        return self._deliverer.pending()

    def stop(self) -> None:
        """Stop after the deliveries under way; call it when the sinks have ended, so that none can hang."""
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
