"""Pub/Sub as an API: the methods that Wardgate calls, their messages, and what a call carries.

The numbers are those of ``google/pubsub/v1/pubsub.proto``; ``Timestamp`` and ``Empty`` stand in for
``google.protobuf``'s: the bytes are the same.
"""

from __future__ import annotations

from urllib.parse import quote

from shared.stores.google_channel import Api, Headers, Method
from shared.stores.protobuf_messages import message_classes

_MESSAGES = message_classes(
    "google.pubsub.v1",
    {
        "Timestamp": ("int64 seconds = 1", "int32 nanos = 2"),
        "Empty": (),
        "PubsubMessage": (
            "bytes data = 1",
            "map string attributes = 2",
            "string message_id = 3",
            "Timestamp publish_time = 4",
        ),
        "PublishRequest": ("string topic = 1", "repeated PubsubMessage messages = 2"),
        "PublishResponse": ("repeated string message_ids = 1",),
        "PullRequest": ("string subscription = 1", "int32 max_messages = 3"),
        "ReceivedMessage": ("string ack_id = 1", "PubsubMessage message = 2"),
        "PullResponse": ("repeated ReceivedMessage received_messages = 1",),
        "ModifyAckDeadlineRequest": (
            "string subscription = 1",
            "int32 ack_deadline_seconds = 3",
            "repeated string ack_ids = 4",
        ),
        "AcknowledgeRequest": ("string subscription = 1", "repeated string ack_ids = 2"),
    },
)

PubsubMessage = _MESSAGES["PubsubMessage"]
PublishRequest = _MESSAGES["PublishRequest"]
PublishResponse = _MESSAGES["PublishResponse"]
PullRequest = _MESSAGES["PullRequest"]
ModifyAckDeadlineRequest = _MESSAGES["ModifyAckDeadlineRequest"]
AcknowledgeRequest = _MESSAGES["AcknowledgeRequest"]

_PUBLISHER = "/google.pubsub.v1.Publisher/"
_SUBSCRIBER = "/google.pubsub.v1.Subscriber/"
_Empty = _MESSAGES["Empty"]

PUBSUB = Api(
    name="Pub/Sub",
    host="pubsub.googleapis.com:443",
    scope="https://www.googleapis.com/auth/pubsub",
    emulator_variable="PUBSUB_EMULATOR_HOST",
    methods={
        "Publish": Method(f"{_PUBLISHER}Publish", PublishRequest, PublishResponse),
        "Pull": Method(f"{_SUBSCRIBER}Pull", PullRequest, _MESSAGES["PullResponse"]),
        "ModifyAckDeadline": Method(f"{_SUBSCRIBER}ModifyAckDeadline", ModifyAckDeadlineRequest, _Empty),
        "Acknowledge": Method(f"{_SUBSCRIBER}Acknowledge", AcknowledgeRequest, _Empty),
    },
)


def headers(kind: str, name: str) -> Headers:
    """What every call carries: the ``topic`` or ``subscription`` that Pub/Sub routes it to, by its full name."""
    return (("x-goog-request-params", f"{kind}={quote(name, safe='')}"),)
