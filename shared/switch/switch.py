"""The kill switch as calls meet it: one document, read at most once a second by a process that is at work.

There is no thread. Whoever asks finds out whether the document must be read again, and one of those who
do reads it. An idle process reads nothing, and its next call waits for a read. A call that waits for its
upstream asks twice a second; so does, with every chunk, an answer that streams.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from shared.clock import Clock, SystemClock, utc
from shared.errors import ServiceUnavailable, StoreError
from shared.stores.documents import DocumentStore
from shared.switch.document import PATH, scopes_on
from shared.switch.state import ALL, Refusal, View, decide, failed, need, seen
from shared.web.log import log

_PATIENCE = 2.0
"""Seconds to wait for another thread's read, should the store not keep to its deadline."""


class CallKilled(ServiceUnavailable):
    """The kill switch is on for this call, or it is not known whether it is.

    Attributes:
        scope: The scope that is on; None where that is not known.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.scope = refusal.scope
        if refusal.scope is None:
            super().__init__(
                "The kill switch cannot be read, so no call is let through.",
                code="kill_switch_unreadable",
                headers={"retry-after": "1"},
            )
            return
        kind = refusal.scope.partition(":")[0]
        what = "all calls" if kind == ALL else f"this {kind}"
        super().__init__(
            f"The operator has switched off {what}.", code="kill_switch", headers={"x-should-retry": "false"}
        )
        self.param = {"model": "model", "tool": "tools"}.get(kind)


class KillSwitch:
    """Says whether a call may go on. Safe for threads; make it after the fork.

    Args:
        documents: Where the switch is kept; its deadline is how long a read may take.
        monotonic_ns: A clock that only goes forward.
        clock: Tells when a scope that is on for a time only is over.
    """

    def __init__(
        self,
        documents: DocumentStore,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        clock: Clock | None = None,
    ) -> None:
        self._documents = documents
        self._now = monotonic_ns
        self._clock = clock or SystemClock()
        self._view = View()
        self._reading = threading.Lock()

    def check(self, scopes: Iterable[str]) -> None:
        """Let a call in these scopes go on.

        Raises:
            CallKilled: One of them is on, or the switch cannot be read and what is known is too old.
        """
        wanted = need(self._view, self._now())
        if wanted != "nothing":
            self._read(wait=wanted == "wait")
        refusal = decide(self._view, scopes, self._now())
        if refusal is not None:
            raise CallKilled(refusal)

    def _read(self, *, wait: bool) -> None:
        if not self._reading.acquire(timeout=_PATIENCE if wait else 0):
            return
        try:
            began = self._now()
            if need(self._view, began) == "nothing":  # whom we waited for has read it
                return
            try:
                self._view = seen(scopes_on(self._documents.get(PATH), utc(self._clock)), began)
            except StoreError as error:
                self._view = failed(self._view, self._now())
                log("ERROR", "kill_switch.unreadable", error=type(error).__name__)
        finally:
            self._reading.release()
