"""What Pub/Sub has given up: the messages of a subscription to its dead-letter topic.

Pub/Sub does not tell why a push failed; the sink's own log does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.errors import StoreUnavailable
from shared.stores.events import DeadLetter, Event
from shared.stores.google_channel import Calls
from shared.stores.pubsub_api import (
    PUBSUB,
    AcknowledgeRequest,
    ModifyAckDeadlineRequest,
    PublishRequest,
    PubsubMessage,
    PullRequest,
    headers,
)

_PAGE_MESSAGES = 100
_CALL_SECONDS = 10.0
_PULL_SECONDS = 3.0
"""How long to wait for messages; Pub/Sub keeps a pull of an empty subscription waiting."""

_ADDED = "CloudPubSubDeadLetterSource"
"""How the names of the attributes begin that Pub/Sub adds
(https://cloud.google.com/pubsub/docs/handling-failures#track_delivery_attempts)."""


class PubsubDeadLetters:
    """``DeadLetters`` of one topic's push subscriptions, all of which send theirs to one dead-letter topic."""

    def __init__(self, project: str, topic: str, subscription: str) -> None:
        """Connects at first use.

        Args:
            project: Id or number of the Google Cloud project.
            topic: Id of the topic that events are published to.
            subscription: Id of the pull subscription to the dead-letter topic.
        """
        self._topic = f"projects/{project}/topics/{topic}"
        self._subscription = f"projects/{project}/subscriptions/{subscription}"
        self._publisher = Calls(PUBSUB, headers("topic", self._topic))
        self._subscriber = Calls(PUBSUB, headers("subscription", self._subscription))

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """See ``DeadLetters``. Nobody else sees the messages meanwhile."""
        received: dict[str, Any] = {}
        while len(received) < limit:
            known = len(received)
            received.update((each.message.message_id, each) for each in self._pull(limit - known))
            if len(received) == known:  # none is left, or their lease is over and they come again
                break
        self._release(list(received.values()))
        return [_dead_letter(each.message) for each in received.values()]

    def redrive(self) -> int:
        """See ``DeadLetters``. Published again, an event goes to every sink, and those that have it ignore it.

        What dies again in the meantime stays.
        """
        count = 0
        done: set[tuple[str, bytes]] = set()
        while received := self._pull(_PAGE_MESSAGES):
            again = [each for each in received if _identity(each.message) in done]
            fresh = [each for each in received if _identity(each.message) not in done]
            self._release(again)
            if not fresh:
                break
            self._publish([_original(each.message) for each in fresh])
            self._call("Acknowledge", AcknowledgeRequest, [each.ack_id for each in fresh])
            done.update(_identity(each.message) for each in fresh)
            count += len(fresh)
        return count

    def _pull(self, count: int) -> Sequence[Any]:
        request = PullRequest(subscription=self._subscription, max_messages=min(count, _PAGE_MESSAGES))
        try:
            return list(self._subscriber.unary("Pull", request, _PULL_SECONDS).received_messages)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return []
            raise _unavailable("the pull of dead letters", error) from error

    def _publish(self, messages: Sequence[Any]) -> None:
        try:
            self._publisher.unary("Publish", PublishRequest(topic=self._topic, messages=messages), _CALL_SECONDS)
        except grpc.RpcError as error:
            raise _unavailable("the events that were to be published again", error) from error

    def _release(self, received: Sequence[Any]) -> None:
        """Let others have the messages at once."""
        if received:
            self._call("ModifyAckDeadline", ModifyAckDeadlineRequest, [each.ack_id for each in received])

    def _call(self, method: str, request: Any, ack_ids: Sequence[str]) -> None:
        try:
            self._subscriber.unary(method, request(subscription=self._subscription, ack_ids=ack_ids), _CALL_SECONDS)
        except grpc.RpcError as error:
            raise _unavailable("the word on dead letters", error) from error


def _dead_letter(message: Any) -> DeadLetter:
    """A message that is no CloudEvent has empty attributes."""
    attributes = message.attributes
    named = {name: unquote(attributes.get(f"ce-{name}", "")) for name in ("id", "source", "type", "time", "subject")}
    subject = named.pop("subject") or None
    attempts = attributes.get(f"{_ADDED}DeliveryCount", "")
    return DeadLetter(
        sink=attributes.get(f"{_ADDED}Subscription", "") or None,
        attempts=int(attempts) if attempts.isdecimal() else None,
        died_at=message.publish_time.seconds * 1_000_000_000 + message.publish_time.nanos,
        reason=None,
        event=Event(**named, data=message.data, subject=subject),
    )


def _identity(message: Any) -> tuple[str, bytes]:
    """What died where; a message that is published again has another id."""
    return message.attributes.get(f"{_ADDED}Subscription", ""), hashlib.sha256(message.data).digest()


def _original(message: Any) -> Any:
    kept = {name: value for name, value in message.attributes.items() if not name.startswith(_ADDED)}
    return PubsubMessage(data=message.data, attributes=kept)


def _unavailable(what: str, error: Any) -> StoreUnavailable:
    return StoreUnavailable(f"Pub/Sub did not take or serve {what}: {error.code().name}.")
