"""The event bus on Pub/Sub, over gRPC with message descriptors of its own.

The official client keeps what it is given in a queue of its own, sends it from a background thread after a
pause, and repeats what fails for a minute. On Cloud Run the CPU stops with the answer, and with it such a
thread. Here the threads that publish do all the work, and one that returns has its event acknowledged.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.errors import StoreUnavailable
from shared.stores.events import Event
from shared.stores.google_channel import Calls
from shared.stores.grouping import Groups
from shared.stores.pubsub_api import PUBSUB, PublishRequest, PubsubMessage, headers

MOST_MESSAGES = 1000
"""Pub/Sub's bound on one request (https://cloud.google.com/pubsub/quotas) …"""

MOST_REQUEST_BYTES = 9_500_000
"""… and a little less than its 10 MB."""

MOST_BYTES_IN_FLIGHT = 32_000_000
"""Bound on what a process holds for a bus that does not keep up; beyond it, publishing fails at once."""

_FRAMING_BYTES = 8
"""A message's tag and length within its request."""


class PubsubBus:
    """``EventBus`` on one topic.

    Speaks to the emulator where ``PUBSUB_EMULATOR_HOST`` is set, else to Pub/Sub with application default
    credentials. Events that threads publish while a request is in flight share the next one; each is
    acknowledged by a message id of its own. A request is sent once, under the deadline of the newest event
    in it. One that is refused as malformed is sent again event by event, so that a fault stays with whose
    it is: sinks take an event any number of times.

    Events are published without ordering keys, which would hold up all that come after one that fails.

    A message's attributes are the CloudEvent's, named as in its Pub/Sub binding
    (https://github.com/googleapis/google-cloudevents/blob/main/docs/spec/pubsub.md) and percent-encoded as in
    its HTTP binding: a push subscription without a wrapper makes them headers as they are.
    """

    def __init__(self, project: str, topic: str, *, timeout_seconds: float = 3.0) -> None:
        """Connects at first use.

        Args:
            project: Id or number of the Google Cloud project.
            topic: The topic's id.
            timeout_seconds: How long ``publish`` may take, waiting for others included. A process's first
                request, which connects, has at least ``google_channel.FIRST_CALL_SECONDS``.
        """
        self._topic = f"projects/{project}/topics/{topic}"
        self._timeout = timeout_seconds
        self._calls = Calls(PUBSUB, headers("topic", self._topic))
        self._lane = _Lane(self._send)

    def publish(self, event: Event) -> None:
        """See ``EventBus``."""
        publication = _Publication(encode(event), time.monotonic() + self._timeout)
        lane = self._own_lane()
        lane.take(publication)
        if lane.groups.submit(self._topic, publication, until=publication.until) == "withdrawn":
            lane.give_back([publication])
        if publication.refused:
            raise ValueError("Pub/Sub does not take the event: it does not fit the topic's schema or a limit.")
        if not publication.acknowledged:
            raise StoreUnavailable(f"Pub/Sub did not acknowledge the event: {publication.reason}.")

    def _own_lane(self) -> _Lane:
        """After a fork, a lane of the child's own: threads that are not here may have held the parent's."""
        if self._lane.process != os.getpid():
            self._lane = _Lane(self._send)
        return self._lane

    def _send(self, lane: _Lane, group: Sequence[_Publication]) -> None:
        try:
            self._request(group)
            if len(group) > 1:
                for publication in group:
                    if publication.refused:
                        publication.refused = False
                        self._request([publication])
        finally:
            lane.give_back(group)

    def _request(self, group: Sequence[_Publication]) -> None:
        """Publish a group in one request, and note how it went."""
        left = max(publication.until for publication in group) - time.monotonic()
        if left <= 0:
            return
        request = PublishRequest(topic=self._topic, messages=[publication.message for publication in group])
        try:
            answer = self._calls.unary("Publish", request, left)
        except grpc.RpcError as error:
            for publication in group:
                publication.refused = error.code() is grpc.StatusCode.INVALID_ARGUMENT
                publication.reason = error.code().name
        except StoreUnavailable as error:
            for publication in group:
                publication.reason = str(error).rstrip(".")
        else:
            for publication, message_id in zip(group, answer.message_ids, strict=False):
                publication.acknowledged = bool(message_id)


class _Publication:
    """An event on its way."""

    __slots__ = ("acknowledged", "bytes", "message", "reason", "refused", "until")

    def __init__(self, message: Any, until: float) -> None:
        self.message = message
        self.bytes = message.ByteSize() + _FRAMING_BYTES
        self.until = until
        self.acknowledged = False
        self.refused = False
        self.reason = "its time was up"


class _Lane:
    """What a process has in flight."""

    def __init__(self, send: Any) -> None:
        self.process = os.getpid()
        self.groups: Groups[_Publication] = Groups(
            lambda _, group: send(self, group),
            largest=MOST_MESSAGES,
            weigh=lambda publication: publication.bytes,
            heaviest=MOST_REQUEST_BYTES,
        )
        self._bytes = 0
        self._lock = threading.Lock()

    def take(self, publication: _Publication) -> None:
        """Count what a publication holds.

        Raises:
            StoreUnavailable: Too much is in flight already.
        """
        with self._lock:
            if self._bytes + publication.bytes > MOST_BYTES_IN_FLIGHT:
                raise StoreUnavailable("Pub/Sub does not keep up: too much waits for its acknowledgement.")
            self._bytes += publication.bytes

    def give_back(self, publications: Sequence[_Publication]) -> None:
        with self._lock:
            self._bytes -= sum(publication.bytes for publication in publications)


def encode(event: Event) -> Any:
    """The event as a Pub/Sub message.

    Raises:
        ValueError: It is larger than a bus takes.
    """
    return PubsubMessage(data=event.data, attributes=event.headers())
