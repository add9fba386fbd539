"""The event-bus port: publishes CloudEvents and says when one is safely taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
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


class EventBus(Protocol):
    """Takes events for at-least-once delivery to every sink."""

    def publish(self, event: Event) -> None:
        """Hand over one event; returns once it will survive this process.

        Raises:
            StoreUnavailable: The bus did not acknowledge in time.
        """
