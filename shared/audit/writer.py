"""Writes this process's hash chain of audit events and publishes them.

Each process has its own chain, so that writers need no coordination: ``chain_uid``, ``seq`` from 0,
each record holding the fingerprint of the one before; an open event first and a close event at an
orderly end. After a fork the child begins a chain of its own.

When the bus does not acknowledge an event, nobody knows whether it took it. Its place in the chain must
then never be given to another event, which would look like a forgery, and leaving it empty would look
like a deletion. So the event keeps its place, and its very bytes are sent again before the next one;
sinks store an event once, so a second copy does no harm.

* ``fail_close``: the caller is told with ``StoreUnavailable`` and gives no answer, and nothing else is
  taken until the event is acknowledged: one event waits at most. The next record names it as withheld.
* ``best_effort``: up to 1,000 events wait. Beyond that an event is lost, and so is its place in the
  chain: a gap that verification finds, as it should.

Publishing happens under the lock, which keeps the order of the bus that of the chain. That is right for
a bus that acknowledges in well under a millisecond (the local spool). A bus that takes 20 ms would
serialise a process to 50 events a second: then only taking the place (a few microseconds) belongs under
the lock, while publishing runs side by side and every event that is not acknowledged yet is kept to be
sent again.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.audit.event import MODE, PEPPER, WITHHELD, Pepper, attributes_of, attributes_of_operation
from shared.audit.port import Interaction, Operation, Recorded
from shared.audit.record import CHAIN_CLOSE, CHAIN_OPEN, GENESIS, INTERACTION, OPERATION, EventType, Sealed, seal
from shared.clock import Clock
from shared.errors import StoreError, StoreUnavailable
from shared.policy.types import Audit
from shared.stores.events import Event, EventBus
from shared.web.log import log

MAX_WAITING = 1000

_PAUSE = 250_000_000
"""After a failure, nanoseconds for which the bus is left alone, so that requests do not queue for its timeout."""


class Peppers(Protocol):
    """Reads the current version of a secret."""

    def current(self, name: str) -> Pepper: ...


@dataclass(slots=True)
class _Chain:
    """A chain as far as it has come."""

    uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    length: int = 0
    head: str = GENESIS
    """Fingerprint of the newest record."""

    waiting: deque[Event] = field(default_factory=deque)
    """Records that the bus has not acknowledged, oldest first."""

    withheld: list[int] = field(default_factory=list)
    paused_until: int = 0
    """When to try the bus again, on the monotonic clock."""


class ChainWriter:
    """A ``Trail`` that writes one chain for each process. Thread-safe; opens its chain at first use."""

    def __init__(self, bus: EventBus, peppers: Peppers, policy: Audit, clock: Clock, source: str) -> None:
        """Publishes nothing yet.

        Args:
            bus: Takes the events.
            peppers: Reads the secret ``audit-pepper``.
            policy: Says whether an answer waits for its event.
            clock: Dates the records.
            source: The writing function, as a URI reference such as ``//wardgate/guard``.
        """
        self._bus = bus
        self._peppers = peppers
        self._policy = policy
        self._clock = clock
        self._source = source
        self._lock = threading.Lock()
        self._chain = _Chain()
        begin_anew = weakref.WeakMethod(self._begin_anew)

        def in_child() -> None:
            if (begin := begin_anew()) is not None:
                begin()

        os.register_at_fork(after_in_child=in_child)

    def record(self, interaction: Interaction) -> Recorded:
        """Append one event to this process's chain and publish it.

        Raises:
            StoreUnavailable: Not acknowledged, and the policy's mode is ``fail_close``.
            SecretNotFound: There is no pepper yet, and the policy's mode is ``fail_close``.
        """
        return self._record(INTERACTION, attributes_of(interaction, self._pepper()))

    def record_operation(self, operation: Operation) -> Recorded:
        """Append what an operator did, and publish it. It needs no pepper.

        Raises:
            StoreUnavailable: Not acknowledged, and the policy's mode is ``fail_close``.
        """
        return self._record(OPERATION, attributes_of_operation(operation))

    def _record(self, type_: EventType, attributes: dict[str, Any]) -> Recorded:
        with self._lock:
            chain = self._chain
            self._flush()
            self._need_acknowledged()
            if not chain.length:
                self._append(CHAIN_OPEN, {MODE: self._policy.mode})
                self._need_acknowledged()
            if chain.withheld:
                attributes[WITHHELD] = chain.withheld
            sealed = self._append(type_, attributes)
            try:
                self._need_acknowledged()
            except StoreUnavailable:
                chain.withheld = [*chain.withheld, sealed.seq]
                raise
            chain.withheld = []
            return Recorded(chain.uid, sealed.seq, sealed.fingerprint, published=not chain.waiting)

    def close(self) -> None:
        """End the chain with a close event, at the orderly end of the process. Never raises.

        A later ``record`` begins another chain.
        """
        with self._lock:
            chain = self._chain
            chain.paused_until = 0
            if chain.length:
                self._append(CHAIN_CLOSE, {WITHHELD: chain.withheld} if chain.withheld else {})
            if chain.waiting:
                log("ERROR", "audit.lost", chain_uid=chain.uid, count=len(chain.waiting))
            self._chain = _Chain()

    def _begin_anew(self) -> None:
        """After a fork: the chain is the parent's, and a thread that is not here may have held the lock."""
        self._lock = threading.Lock()
        self._chain = _Chain()

    def _append(self, type_: EventType, attributes: Mapping[str, Any]) -> Sealed:
        """Give the event the chain's next place and publish it, after those that wait."""
        chain = self._chain
        sealed = seal(
            type_,
            attributes,
            source=self._source,
            time=self._clock.time_ns(),
            chain_uid=chain.uid,
            seq=chain.length,
            prev_event=chain.head,
        )
        chain.length += 1
        chain.head = sealed.fingerprint
        if len(chain.waiting) < MAX_WAITING:
            chain.waiting.append(sealed.event)
        else:
            log("ERROR", "audit.lost", chain_uid=chain.uid, seq=sealed.seq)
        self._flush()
        return sealed

    def _flush(self) -> None:
        """Publish what waits, in order, as far as the bus takes it."""
        chain = self._chain
        if time.monotonic_ns() < chain.paused_until:
            return
        while chain.waiting:
            try:
                self._bus.publish(chain.waiting[0])
            except StoreUnavailable:
                chain.paused_until = time.monotonic_ns() + _PAUSE
                log("WARNING", "audit.not_acknowledged", chain_uid=chain.uid, waiting=len(chain.waiting))
                return
            chain.waiting.popleft()

    def _need_acknowledged(self) -> None:
        """Go no further in ``fail_close`` while an event waits."""
        if self._chain.waiting and self._policy.mode == "fail_close":
            raise StoreUnavailable("The audit event was not acknowledged.")

    def _pepper(self) -> Pepper | None:
        try:
            return self._peppers.current(PEPPER)
        except StoreError as error:
            if self._policy.mode == "fail_close":
                raise
            log("WARNING", "audit.no_pepper", error=type(error).__name__)
            return None
