"""Topics and subscriptions of a project on the Pub/Sub emulator: what Terraform makes in production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.stores.protobuf_messages import message_classes

_CALL_SECONDS = 60.0

_MESSAGES = message_classes(
    "google.pubsub.v1",
    {
        "Topic": ("string name = 1",),
        "NoWrapper": ("bool write_metadata = 1",),
        "PushConfig": ("string push_endpoint = 1", "NoWrapper no_wrapper = 5"),
        "DeadLetterPolicy": ("string dead_letter_topic = 1", "int32 max_delivery_attempts = 2"),
        "Subscription": (
            "string name = 1",
            "string topic = 2",
            "PushConfig push_config = 4",
            "int32 ack_deadline_seconds = 5",
            "DeadLetterPolicy dead_letter_policy = 13",
        ),
    },
)


@dataclass(frozen=True, slots=True)
class PubsubProject:
    """A project on the emulator, which makes any project that is named. Methods raise ``grpc.RpcError``."""

    address: str
    """``host:port`` of the emulator."""

    name: str

    def make_topic(self, topic: str) -> None:
        """Make a topic."""
        self._call("Publisher", "CreateTopic", _MESSAGES["Topic"](name=self._topic(topic)), "Topic")

    def push(
        self,
        topic: str,
        subscription: str,
        url: str,
        *,
        wrapped: bool = False,
        ack_seconds: int = 10,
        dead_letter_topic: str | None = None,
        attempts: int = 5,
    ) -> None:
        """Push what is published to a topic.

        Args:
            topic: Its id.
            subscription: Id of the subscription that is made.
            url: Takes the messages.
            wrapped: Whether a message is pushed as Pub/Sub's own JSON. Else its data is the body and its
                attributes are headers, so that a sink sees a CloudEvent.
            ack_seconds: How long ``url`` may take to answer.
            dead_letter_topic: Id of the topic for what ``url`` has refused ``attempts`` times, at least 5.
        """
        request = _MESSAGES["Subscription"](name=self._subscription(subscription), topic=self._topic(topic))
        request.push_config.push_endpoint = url
        if not wrapped:
            request.push_config.no_wrapper.write_metadata = True
        request.ack_deadline_seconds = ack_seconds
        if dead_letter_topic is not None:
            request.dead_letter_policy.dead_letter_topic = self._topic(dead_letter_topic)
            request.dead_letter_policy.max_delivery_attempts = attempts
        self._call("Subscriber", "CreateSubscription", request, "Subscription")

    def subscribe(self, topic: str, subscription: str) -> None:
        """Keep what is published to a topic until it is pulled."""
        request = _MESSAGES["Subscription"](name=self._subscription(subscription), topic=self._topic(topic))
        self._call("Subscriber", "CreateSubscription", request, "Subscription")

    def _topic(self, topic: str) -> str:
        return f"projects/{self.name}/topics/{topic}"

    def _subscription(self, subscription: str) -> str:
        return f"projects/{self.name}/subscriptions/{subscription}"

    def _call(self, service: str, method: str, request: Any, answer: str) -> None:
        with grpc.insecure_channel(self.address) as channel:
            call = channel.unary_unary(
                f"/google.pubsub.v1.{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=_MESSAGES[answer].FromString,
            )
            call(request, timeout=_CALL_SECONDS, wait_for_ready=True)
