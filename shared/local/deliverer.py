"""Empties the spool: POSTs every event to every sink as a binary CloudEvent, at least once."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from shared.clock import Clock, SystemClock
from shared.stores.events import DeadLetter, Event
from shared.stores.spool import Burial, Delivery, Retry, SpoolQueue
from shared.web.http_client import AnswerTooLarge, HttpClient, HttpError, Response

_POLL_SECONDS = 0.05
_TOGETHER = 32
"""Most deliveries that are written down in one transaction."""

_MAX_ANSWER_BYTES = 16 * 1024
"""How much is read of an answer, and so how large one may be whose connection is kept."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PASSING = frozenset({408, 425, 429})
"""Of the statuses 4xx, those that say "not now" and not "not this"."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a sink did not take an event."""

    reason: str
    final: bool
    """Whether it never will."""


class Deliverer:
    """Takes the place that Pub/Sub push subscriptions have in production.

    A delivery counts once the sink has answered 2xx. A sink that answers 4xx has refused the event for good
    (408, 425 and 429 aside): it becomes a dead letter at once. Anything else is tried again, after a pause
    that doubles each time and of which half is random ("equal jitter",
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and becomes a dead letter
    after ``attempts``. What was under way when the process died is delivered again, so sinks must be idempotent.

    Each sink has its own pace: one that hangs or fails holds up no other. It gets one event at a time over a
    kept-alive connection, and how that went is written down for many at once: so delivery, which on one machine
    runs beside the functions, takes little from them. A sink gets what is published from the first time it is
    named; what waits for a sink that is no longer named waits on.
    """

    def __init__(
        self,
        path: Path,
        sinks: Mapping[str, str],
        *,
        attempts: int = 10,
        first_pause_seconds: float = 0.2,
        longest_pause_seconds: float = 60.0,
        timeout_seconds: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            path: The spool's file.
            sinks: URL of each sink by its name; the name stays the same between runs, the URL need not.
            attempts: Tries of one delivery.
            first_pause_seconds: Pause after the first failure.
            longest_pause_seconds: Bound on the pause.
            timeout_seconds: How long a sink may take for its answer.
            clock: Tells when a delivery is due.
        """
        self._queue = SpoolQueue(path)
        self._sinks = {name: _Sink(url, timeout_seconds) for name, url in sinks.items()}
        self._attempts = attempts
        self._first_pause = first_pause_seconds
        self._longest_pause = longest_pause_seconds
        self._clock = clock or SystemClock()

    def run(self, stop: threading.Event) -> None:
        """Deliver until ``stop`` is set; an event is on its way at most 50 ms after it was published.

        Raises:
            StoreUnavailable: The spool cannot be used; ``stop`` is then set.
        """
        with ThreadPoolExecutor(len(self._sinks), thread_name_prefix="sink") as loops:
            futures = [loops.submit(self._keep_delivering, sink, stop) for sink in self._sinks]
            wait(futures, return_when=FIRST_EXCEPTION)
            stop.set()
        for future in futures:
            future.result()

    def pending(self) -> int:
        """Deliveries still to be made; an event that was just published counts as one."""
        return self._queue.pending()

    def dead_letters(self, limit: int = 1000) -> Sequence[DeadLetter]:
        """See ``DeadLetters``; oldest event first."""
        return self._queue.dead_letters(limit)

    def redrive(self) -> int:
        """See ``DeadLetters``."""
        return self._queue.redrive()

    def close(self) -> None:
        """Close all connections."""
        for sink in self._sinks.values():
            sink.close()
        self._queue.close()

    def __enter__(self) -> Deliverer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep_delivering(self, sink: str, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self._deliver_due(sink):
                stop.wait(_POLL_SECONDS)

    def _deliver_due(self, sink: str) -> int:
        """Deliver what is due as far as the sink takes it now, and write down how that went; says how many it were."""
        self._queue.fan_out(list(self._sinks))
        delivered: list[int] = []
        retries: list[Retry] = []
        dead: list[Burial] = []
        for delivery in self._queue.due(sink, self._clock.time_ns(), _TOGETHER):
            fault = self._sinks[sink].post(delivery.event)
            if fault is None:
                delivered.append(delivery.seq)
            elif delivery.attempts + 1 < self._attempts and not fault.final:
                retries.append(self._retry(delivery))
            else:
                dead.append(Burial(delivery.seq, delivery.attempts + 1, self._clock.time_ns(), fault.reason))
            if fault is not None and not fault.final:
                break
        tried = len(delivered) + len(retries) + len(dead)
        if tried:
            self._queue.settle(sink, delivered=delivered, retries=retries, dead=dead)
        return tried

    def _retry(self, delivery: Delivery) -> Retry:
        pause = min(self._longest_pause, self._first_pause * 2**delivery.attempts)
        pause *= random.uniform(0.5, 1)  # noqa: S311  # spreads load, keeps no secret
        return Retry(delivery.seq, delivery.attempts + 1, self._clock.time_ns() + int(pause * 1e9))


class _Sink:
    """A sink as its URL's server."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        place = urlsplit(url)
        self._path = place.path or "/"
        self._timeout = timeout_seconds
        self._client = HttpClient(f"{place.scheme}://{place.netloc}", connect_timeout=timeout_seconds)

    def post(self, event: Event) -> _Fault | None:
        """POST one event; None where the sink took it."""
        try:
            headers = event.headers()
        except ValueError:  # an event that this version would not have published
            return _Fault("too large for a request", final=True)
        deadline = time.monotonic() + self._timeout
        try:
            with self._client.send("POST", self._path, headers=headers, body=event.data, deadline=deadline) as response:
                status, answer = response.status, _read(response)
        except HttpError as error:
            return _Fault(f"no answer ({type(error).__name__})", final=False)
        if 200 <= status < 300:
            return None
        return _Fault(f"HTTP {status}{_code(answer)}", final=400 <= status < 500 and status not in _PASSING)

    def close(self) -> None:
        self._client.close()


def _read(response: Response) -> bytes:
    """The whole answer, or nothing of one that is too long."""
    try:
        return response.read(_MAX_ANSWER_BYTES)
    except AnswerTooLarge:
        return b""


def _code(answer: bytes) -> str:
    """The error's code in Wardgate's shape of an error, after a space. Nothing else of an answer is kept: it may
    repeat what was sent."""
    try:
        code = json.loads(answer)["error"]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return f" {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
