"""The messages of Pub/Sub's API that Wardgate sends and reads, by the numbers of ``google/pubsub/v1/pubsub.proto``."""

from __future__ import annotations

from shared.stores.protobuf_messages import message_classes

_MESSAGES = message_classes(
    "google.pubsub.v1",
    {
        "PubsubMessage": ("bytes data = 1", "map string attributes = 2", "string message_id = 3"),
        "PublishRequest": ("string topic = 1", "repeated PubsubMessage messages = 2"),
        "PublishResponse": ("repeated string message_ids = 1",),
    },
)

PubsubMessage = _MESSAGES["PubsubMessage"]
PublishRequest = _MESSAGES["PublishRequest"]
PublishResponse = _MESSAGES["PublishResponse"]
