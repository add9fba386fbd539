"""Writes this process's hash chain of audit events and publishes them.

Each process has its own chain, so that writers need no coordination: ``chain_uid``, ``seq`` from 0,
each record holding the fingerprint of the one before; an open event first and a close event at an
orderly end. After a fork the child begins a chain of its own.

Only taking the place in the chain happens under the lock; publishing runs side by side, each request
for its own event. So the bus gets events in any order, and sinks key on chain and number. What is not
acknowledged keeps its place and is sent again (``shared.audit.chain``), also by another process after
this one has died (``shared.audit.journal``).

* ``fail_close``: the caller is told with ``StoreUnavailable`` and gives no answer, and nothing new is
  taken until every event is acknowledged: so at most as many wait as there are requests at once. The next
  record names those that were withheld. Only the end of a streamed answer that has begun is always taken.
* ``best_effort``: a thousand events wait in memory, and more in the journal. Beyond that an event is
  lost, and so is its place in the chain: a gap that verification finds, as it should.

Nothing runs after the answer. The head registry and counted denials are written beside a request's own
event, in a thread that ends with it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from shared.audit.chain import Chain, Waiting
from shared.audit.compose import (
    Pepper,
    attributes_of,
    attributes_of_counted,
    attributes_of_operation,
    attributes_of_start,
)
from shared.audit.content import ContentSealer
from shared.audit.event import PEPPER, Attributes, CloseAttributes, OpenAttributes
from shared.audit.heads import EVERY, Heads
from shared.audit.journal import Journal, Journals
from shared.audit.outbox import Outbox
from shared.audit.port import Interaction, Operation, Recorded, Started, TurnedAway, Unacknowledged
from shared.audit.record import (
    CHAIN_CLOSE,
    CHAIN_OPEN,
    DENIALS,
    INTERACTION,
    INTERACTION_STARTED,
    OPERATION,
    EventType,
    encode,
)
from shared.audit.tally import Counted, Tally
from shared.clock import Clock
from shared.errors import StoreError, StoreUnavailable
from shared.policy.types import Audit
from shared.stores.events import EventBus
from shared.web.log import log

_COUNTED_AT_ONCE = 2
"""Counted events that one request writes at most; each request adds one at most."""


class Peppers(Protocol):
    """Reads the current version of a secret."""

    def current(self, name: str) -> Pepper: ...


class ChainWriter:
    """A ``Trail`` that writes one chain for each process. Thread-safe; opens its chain at first use."""

    _lock: threading.Lock
    """Held to take a place or to note what became of an event; never while anybody waits for a store."""

    _chain: Chain
    _outbox: Outbox
    _tally: Tally

    def __init__(
        self,
        bus: EventBus,
        peppers: Peppers,
        policy: Audit,
        clock: Clock,
        source: str,
        *,
        heads: Heads | None = None,
        journals: Journals | None = None,
        content: ContentSealer | None = None,
    ) -> None:
        """Publishes nothing yet.

        Args:
            bus: Takes the events.
            peppers: Reads the secret ``audit-pepper``.
            policy: Says whether an answer waits for its event.
            clock: Dates the records.
            source: The writing function, as a URI reference such as ``//wardgate/guard``.
            heads: Registers how far the chain has come.
            journals: Keep what is not acknowledged beyond the life of this process.
            content: Seals prompts and answers; without it events hold none.
        """
        self._bus = bus
        self._peppers = peppers
        self._policy = policy
        self._clock = clock
        self._source = source
        self._heads = heads
        self._journals = journals
        self._content = content
        self._begin()
        begin_anew = weakref.WeakMethod(self._begin_anew)

        def in_child() -> None:
            if (begin := begin_anew()) is not None:
                begin()

        os.register_at_fork(after_in_child=in_child)

    # --- what the gateway tells -----------------------------------------------------------------

    def start(self, started: Started) -> Recorded:
        """Append the beginning of a streamed answer. See ``Trail``."""
        pepper = self._pepper()
        return self._write(INTERACTION_STARTED, lambda chain: attributes_of_start(started, pepper))

    def record(self, interaction: Interaction) -> Recorded:
        """Append one interaction to this process's chain and publish it. See ``Trail``."""
        begun = interaction.started is not None
        pepper = self._pepper(urgent=begun)

        def compose(chain: Chain) -> Attributes:
            attributes = attributes_of(interaction, pepper)
            if interaction.started is not None and interaction.started.chain_uid == chain.uid:
                attributes.started_seq = interaction.started.seq
            if self._content is not None:
                self._content.add(attributes, interaction, chain.uid, must=self._strict and not begun)
            return attributes

        return self._write(INTERACTION, compose, ends=interaction.started)

    def record_operation(self, operation: Operation) -> Recorded:
        """Append what an operator did, and publish it. It needs no pepper. Raises as ``record`` does."""
        return self._write(OPERATION, lambda chain: attributes_of_operation(operation))

    def turned_away(self, request: TurnedAway) -> None:
        """Count a request. See ``Trail``."""
        now = self._clock.time_ns()
        self._tally.count(request, now)
        for counted in self._tally.due(now, _COUNTED_AT_ONCE):
            self._tell(counted)

    def close(self) -> None:
        """End the chain with a close event, at the orderly end of the process. Never raises.

        Where a streamed answer has begun and not ended, the chain stays without its end, as after a crash.
        A later ``record`` begins another chain.
        """
        self._chain.paused_until = 0
        for counted in self._tally.all():
            self._tell(counted)
        chain = self._chain
        self._outbox.catch_up(chain)
        closing = None
        with self._lock:
            if chain.length and not chain.streams:
                attributes = CloseAttributes(withheld=chain.withheld or None)
                closing = chain.append(CHAIN_CLOSE, encode(attributes), self._clock.time_ns())
            self._chain = Chain(self._source)
        if closing is not None:
            self._outbox.publish(chain, closing, closing.event)
        self._register(chain, closed=closing is not None and not chain.pending)
        with self._lock:
            chain.close()

    # --- writing --------------------------------------------------------------------------------

    @property
    def _strict(self) -> bool:
        return self._policy.mode == "fail_close"

    def _write(
        self,
        type_: EventType,
        compose: Callable[[Chain], Attributes],
        *,
        ends: Recorded | None = None,
        beside: bool = True,
    ) -> Recorded:
        """Give an event its place, publish it, and say where it stands."""
        chain, waiting = self._take(type_, compose, ends)
        helper = self._start_beside(chain) if beside else None
        try:
            published = self._outbox.publish(chain, waiting, waiting.event)
        finally:
            if helper is not None:
                helper.join()
        recorded = Recorded(chain.uid, waiting.seq, waiting.fingerprint, published)
        if published or not self._strict:
            return recorded
        if type_ != DENIALS:  # whose requests get no answer anyway
            with self._lock:
                chain.withheld.append(waiting.seq)
        raise Unacknowledged(recorded)

    def _take(
        self, type_: EventType, compose: Callable[[Chain], Attributes], ends: Recorded | None
    ) -> tuple[Chain, Waiting]:
        while True:
            chain = self._ready_chain()
            urgent = ends is not None and ends.chain_uid == chain.uid
            if chain.failed and self._strict and not urgent:
                raise StoreUnavailable("Earlier audit events are not acknowledged yet.")
            attributes = compose(chain)
            encoded = encode(attributes)
            with self._lock:
                if chain is not self._chain:
                    continue  # closed meanwhile
                if chain.withheld:
                    attributes.withheld, chain.withheld = chain.withheld, []
                    encoded = encode(attributes)
                waiting = chain.append(type_, encoded, self._clock.time_ns())
                if type_ == INTERACTION_STARTED:
                    chain.streams.add(waiting.seq)
                elif ends is not None and urgent:
                    chain.streams.discard(ends.seq)
                return chain, waiting

    def _ready_chain(self) -> Chain:
        """This process's chain, open, with nothing waiting as far as the bus takes it."""
        chain = self._chain
        if chain.opened:
            self._outbox.catch_up(chain)
        else:
            with self._outbox.turn:
                if not self._chain.opened:
                    self._open(self._chain)
        return self._chain

    def _open(self, chain: Chain) -> None:
        """Write the open event and register the chain, before anybody can be answered: else a chain could vanish
        with nobody knowing of it."""
        if chain.length:
            self._outbox.catch_up(chain)
        else:
            chain.journal = self._new_journal(chain)
            with self._lock:
                opening = chain.append(CHAIN_OPEN, encode(OpenAttributes(self._policy.mode)), self._clock.time_ns())
            self._outbox.publish(chain, opening, opening.event)
        if chain.pending and self._strict:
            raise StoreUnavailable("The audit chain's first event is not acknowledged yet.")
        self._register(chain)
        chain.opened = True
        self._outbox.catch_up(chain)

    def _new_journal(self, chain: Chain) -> Journal | None:
        if self._journals is None:
            return None
        try:
            return self._journals.open(chain.uid)
        except OSError as error:
            log("WARNING", "audit.journal_failed", chain_uid=chain.uid, error=type(error).__name__)
            return None

    # --- beside a request's own event -----------------------------------------------------------

    def _start_beside(self, chain: Chain) -> threading.Thread | None:
        """Begin what is due beside a request's own event; join it before the answer."""
        counted = self._tally.due(self._clock.time_ns(), _COUNTED_AT_ONCE) if len(self._tally) else []
        register = self._head_is_due(chain)
        if not (counted or register):
            return None

        def work() -> None:
            if register:
                self._register(chain)
            for each in counted:
                self._tell(each)

        helper = threading.Thread(target=work, name="audit-beside")
        try:
            helper.start()
        except RuntimeError:  # no thread is to be had, as while the interpreter ends
            work()
            return None
        return helper

    def _tell(self, counted: Counted) -> None:
        """Write a counted event; what gets no place is counted further."""
        try:
            with suppress(Unacknowledged):  # it has its place and is sent again
                self._write(DENIALS, lambda chain: attributes_of_counted(counted), beside=False)
        except StoreError as error:
            self._tally.give_back(counted)
            log("WARNING", "audit.count_untold", error=type(error).__name__)

    def _head_is_due(self, chain: Chain) -> bool:
        if self._heads is None or 0 <= chain.registered >= chain.length - EVERY:
            return False
        with self._lock:
            return self._heads.is_due(chain)

    def _register(self, chain: Chain, *, closed: bool = False) -> None:
        if self._heads is None:
            return
        with self._lock:
            head = chain.known(closed=closed)
        self._heads.register(chain, head)

    # --- this process ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._chain = Chain(self._source)
        self._tally = Tally()
        self._outbox = Outbox(self._bus, self._journals, self._lock, strict=self._strict)

    def _begin_anew(self) -> None:
        """After a fork: the chain is the parent's, and a thread that is not here may have held a lock."""
        if self._chain.journal is not None:
            self._chain.journal.abandon()
        self._begin()

    def _pepper(self, *, urgent: bool = False) -> Pepper | None:
        try:
            return self._peppers.current(PEPPER)
        except StoreError as error:
            if self._strict and not urgent:
                raise
            log("WARNING", "audit.no_pepper", error=type(error).__name__)
            return None
