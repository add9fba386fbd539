"""The event-bus port: publishes CloudEvents, says when one is safely taken, and what no sink would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

from msgspec import Struct

MAX_EVENT_BYTES = 9_000_000
"""Bound on an event's data, so that every bus takes it: Pub/Sub takes 10 MB in one request, envelope and all."""

MAX_ATTRIBUTE_BYTES = 1024
"""Bound on one context attribute as a header: Pub/Sub's for the value of a message's attribute."""

_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What the CloudEvents HTTP binding (1.0.2, section 3.1.3.2) leaves as it is; the rest is percent-encoded."""


class Event(Struct, frozen=True):
    """A CloudEvent 1.0 in binary content mode: attributes for routing, ``data`` as it is stored."""

    id: str
    source: str
    type: str
    time: str
    """RFC 3339, in UTC."""

    data: bytes
    """The payload, JSON in UTF-8."""

    subject: str | None = None

    def attributes(self) -> dict[str, str]:
        """The CloudEvents context attributes, without their transport's prefix."""
        named = {
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time,
            "specversion": "1.0",
            "datacontenttype": "application/json",
        }
        return named if self.subject is None else {**named, "subject": self.subject}

    def headers(self) -> dict[str, str]:
        """The attributes as headers of binary content mode, which is how every sink gets them.

        Raises:
            ValueError: The data or an attribute is too large for some bus.
        """
        if len(self.data) > MAX_EVENT_BYTES:
            raise ValueError(f"An event holds at most {MAX_EVENT_BYTES} bytes.")
        attributes = self.attributes()
        headers = {"content-type": attributes.pop("datacontenttype")}
        for name, value in attributes.items():
            headers[f"ce-{name}"] = quoted = quote(value, safe=_HEADER_SAFE)
            if len(quoted) > MAX_ATTRIBUTE_BYTES:
                raise ValueError(f"An event's {name} holds at most {MAX_ATTRIBUTE_BYTES} bytes as a header.")
        return headers


class DeadLetter(Struct, frozen=True):
    """An event that one sink never took. None: the bus does not tell."""

    sink: str | None
    attempts: int | None
    died_at: int
    """Nanoseconds since the Unix epoch."""

    reason: str | None
    event: Event


class EventBus(Protocol):
    """Takes events for at-least-once delivery to every sink."""

    def publish(self, event: Event) -> None:
        """Hand over one event; returns once it will survive this process.

        Raises:
            StoreUnavailable: The bus did not acknowledge in time. It may have taken the event all the same.
            ValueError: The event is larger than a bus takes, or the bus refuses it for good.
        """


class DeadLetters(Protocol):
    """What a bus has given up, for an operator. Both raise ``StoreUnavailable``."""

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        """Those that are kept, at most ``limit`` of them. They stay."""

    def redrive(self) -> int:
        """Deliver all of them again, and say how many there were."""
