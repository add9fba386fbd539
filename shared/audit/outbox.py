"""Hands a chain's events to the bus, side by side, and sends again what it did not acknowledge.

After a failure the bus is left alone for a moment. What waits goes first, with the next request; one thread
sends it. What processes that have died left behind goes with the first request of a new one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from shared.audit.chain import Chain, Waiting
from shared.audit.journal import Journals
from shared.errors import StoreUnavailable
from shared.stores.events import Event, EventBus
from shared.web.log import log

_PAUSE = 250_000_000
"""After a failure, nanoseconds for which the bus is left alone, so that requests do not queue for its timeout."""

_CATCH_UP = 1_000_000_000
"""Nanoseconds that one request spends at most on earlier events that wait."""

_OTHERS = 200_000_000
"""… and on events that processes left behind."""


class Outbox:
    """Publishes the events of one process."""

    def __init__(self, bus: EventBus, journals: Journals | None, lock: threading.Lock, *, strict: bool) -> None:
        """
        Args:
            bus: Takes the events.
            journals: Where processes that have died may have left events.
            lock: Guards every chain.
            strict: Whether requests wait until nothing waits any more.
        """
        self.turn = threading.RLock()
        """Held by the thread that sends again what waits, or opens a chain."""

        self._bus = bus
        self._lock = lock
        self._strict = strict
        self._others_turn = threading.Lock()
        self._left_behind = None if journals is None else _events_of(journals)
        """What processes that have died left behind; None once all of it is sent."""

        self._other: Event | None = None
        """The one of those that is to be sent next."""

    def publish(self, chain: Chain, waiting: Waiting, event: Event | None) -> bool:
        """Hand an event to the bus; whether the bus acknowledged it. If not, it waits to be sent again."""
        published = False
        try:
            if event is not None and time.monotonic_ns() >= chain.paused_until:
                self._bus.publish(event)
                published = True
        except StoreUnavailable:
            chain.paused_until = time.monotonic_ns() + _PAUSE
            log("WARNING", "audit.not_acknowledged", chain_uid=chain.uid, waiting=len(chain.pending))
        finally:
            with self._lock:
                (chain.acknowledged if published else chain.send_again)(waiting)
        return published

    def catch_up(self, chain: Chain) -> None:
        """Send what waits, as far as the bus takes it. One thread does; where that is needed, others wait for it."""
        if time.monotonic_ns() < chain.paused_until:
            return
        if chain.failed:
            self._send_waiting(chain)
        elif self._left_behind is not None:
            self._send_left_behind(chain)

    def _send_waiting(self, chain: Chain) -> None:
        if not self.turn.acquire(blocking=self._strict):
            return
        try:
            deadline = time.monotonic_ns() + _CATCH_UP
            while time.monotonic_ns() < deadline:
                with self._lock:
                    waiting = chain.next_failed()
                if waiting is None or not self.publish(chain, *waiting):
                    return
        finally:
            self.turn.release()

    def _send_left_behind(self, chain: Chain) -> None:
        """Go on sending what processes that have died could not, for a moment; nobody waits for whoever does."""
        if self._left_behind is None or not self._others_turn.acquire(blocking=False):
            return
        try:
            deadline = time.monotonic_ns() + _OTHERS
            while time.monotonic_ns() < deadline:
                self._other = self._other or next(self._left_behind, None)
                if self._other is None:
                    self._left_behind = None
                    return
                self._bus.publish(self._other)
                self._other = None
        except StoreUnavailable:
            chain.paused_until = time.monotonic_ns() + _PAUSE
        except OSError as error:
            self._left_behind = None
            log("WARNING", "audit.journal_failed", chain_uid=chain.uid, error=type(error).__name__)
        finally:
            self._others_turn.release()


def _events_of(journals: Journals) -> Iterator[Event]:
    """Every event that was left behind. A journal goes when its last event has been taken and the next is asked for."""
    for journal in journals.left_behind():
        yield from journal.events()
        journal.remove()
