"""Secret Manager's notifications, as Pub/Sub pushes them.

A push is ``{"message": {"attributes": {…}, "data": …, "messageId": …}, "subscription": …}``. Of the attributes
``eventType`` says what happened, ``secretId`` is the secret's full name, as in ``projects/1/secrets/name``, and
``timestamp`` says when (https://cloud.google.com/secret-manager/docs/event-notifications). The data is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from shared.errors import BadRequest
from shared.rotation.machine import SECOND
from shared.shapes import prepare

MAX_BYTES = 256 * 1024
"""Longest push that is read: a secret's description with its labels and annotations is far shorter."""

ROTATE = "SECRET_ROTATE"


class _Message(msgspec.Struct, frozen=True):
    attributes: dict[str, str] = {}


class _Push(msgspec.Struct, frozen=True):
    message: _Message


prepare(_Push)


@dataclass(frozen=True, slots=True)
class Notification:
    """What a message says."""

    event: str
    secret: str | None
    """The secret's own name; None: the message is about none."""

    at: int
    """When it was sent, in nanoseconds since the Unix epoch."""


def read_notification(body: bytes) -> Notification:
    """Read a push.

    Raises:
        BadRequest: It is none of Secret Manager's. The message repeats nothing of it.
    """
    try:
        attributes = msgspec.json.decode(body, type=_Push).message.attributes
        at = datetime.fromisoformat(attributes["timestamp"]) if "timestamp" in attributes else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise _malformed() from None
    event, path = attributes.get("eventType"), attributes.get("secretId", "")
    if event is None or (at is not None and at.tzinfo is None):
        raise _malformed()
    name = path.rpartition("/secrets/")[2] if path else None
    if event == ROTATE and (name is None or at is None):
        raise _malformed()
    return Notification(event, name, 0 if at is None else round(at.timestamp() * SECOND))


def _malformed() -> BadRequest:
    return BadRequest("The request is no notification of Secret Manager's.", code="malformed_notification")
