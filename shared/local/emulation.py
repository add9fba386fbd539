"""The local stack's document store and event bus as Google's emulators, with the topics that Terraform makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from shared.audit.archive import day_prefix
from shared.audit.registry import read_heads
from shared.clock import Clock, SystemClock, utc
from shared.errors import StoreError
from shared.local.delivery import Delivery
from shared.local.emulators import FIRESTORE, PUBSUB, free_ports
from shared.local.processes import HOST
from shared.local.pubsub_project import PubsubProject
from shared.local.stack import StackFailed
from shared.settings import Settings
from shared.stores.connect import connect_documents, connect_objects
from shared.stores.documents import DocumentStore
from shared.stores.objects import ObjectStore

PROJECT = "wardgate-local"

_EVENTS = "wardgate-events"
_ALERTS = "wardgate-alerts"
_REMINDERS = "wardgate-reminders"

_SINKS = {"archive": "audit_archive", "warehouse": "audit_warehouse", "alerts": "audit_alerts"}
_ACK_SECONDS = 60
_ATTEMPTS = 10


class Emulation:
    """Both emulators of one run, which begin with nothing."""

    def __init__(self) -> None:
        """Starts nothing yet.

        Raises:
            EmulatorAbsent: One cannot be started here.
        """
        ports = free_ports(2)
        pairs = tuple(zip((FIRESTORE, PUBSUB), ports, strict=True))
        self.services = tuple(emulator.service(port) for emulator, port in pairs)
        self.addresses = {emulator.variable: f"{HOST}:{port}" for emulator, port in pairs}
        self.stores = {
            "WARDGATE_DOCUMENTS": f"firestore://{PROJECT}",
            "WARDGATE_EVENTS": f"pubsub://{PROJECT}/{_EVENTS}",
            "WARDGATE_ALERTS": f"pubsub://{PROJECT}/{_ALERTS}",
        }
        """The settings that name them."""

    @property
    def variables(self) -> dict[str, str]:
        """All that a process needs in its environment to find them."""
        return {**self.addresses, **self.stores}

    def settle(self, urls: Mapping[str, str]) -> None:
        """Once both serve: wait for their slow first calls, and make the topics and subscriptions.

        Args:
            urls: Of the functions that messages are pushed to, by name.

        Raises:
            StackFailed: An emulator does not do it.
        """
        try:
            for emulator in (FIRESTORE, PUBSUB):
                emulator.warm_up(self.addresses[emulator.variable])
            self._make_topics(PubsubProject(self.addresses[PUBSUB.variable], PROJECT), urls)
        except grpc.RpcError as error:
            raise StackFailed(f"an emulator does not serve: {error.code().name}") from error

    @staticmethod
    def _make_topics(project: PubsubProject, urls: Mapping[str, str]) -> None:
        """As ``terraform/topics.tf`` and its module ``topic``, but for what the emulator does not know."""
        for topic in (_EVENTS, _ALERTS, _REMINDERS):
            dead = f"{topic}-dead-letters"
            project.make_topic(topic)
            project.make_topic(dead)
            project.subscribe(dead, dead)

        def push(topic: str, name: str, url: str, *, wrapped: bool = False) -> None:
            project.push(
                topic,
                f"{topic}-{name}",
                url,
                wrapped=wrapped,
                ack_seconds=_ACK_SECONDS,
                dead_letter_topic=f"{topic}-dead-letters",
                attempts=_ATTEMPTS,
            )

        for name, function in _SINKS.items():
            push(_EVENTS, name, urls[function])
        push(_REMINDERS, "rotate_secrets", f"{urls['rotate_secrets']}notifications", wrapped=True)
        project.subscribe(_ALERTS, f"{_ALERTS}-listeners")

    @staticmethod
    def delivery(settings: Settings) -> Delivery:
        """What the supervisor sees of the events' way; ``settings`` name this emulation's stores."""
        return _PushedDelivery(connect_documents(settings.documents), connect_objects(settings.objects), SystemClock())


class _PushedDelivery:
    """``Delivery`` by the emulator itself, which pushes for as long as it runs."""

    failure: StoreError | None = None
    """See ``Delivery``."""

    def __init__(self, documents: DocumentStore, objects: ObjectStore, clock: Clock) -> None:
        """
        Args:
            documents: Where writers register how far their chains have come; of this run alone.
            objects: Holds the archive.
            clock: Tells which days to look for events in.
        """
        self._documents = documents
        self._objects = objects
        self._clock = clock
        self._started = False

    def start(self) -> None:
        """See ``Delivery``."""
        self._started = True

    def is_at_work(self) -> bool:
        """See ``Delivery``; the stack watches the emulator's process."""
        return self._started

    def pending(self) -> int:
        """Events that chains have registered and the archive lacks; the emulator does not tell what it has not
        delivered. The other sinks got their events at the same time.

        Raises:
            StoreUnavailable: A store does not answer.
        """
        return sum(
            max(0, head.seq + 1 - self._archived(head.chain_uid, head.opened_at))
            for head in read_heads(self._documents)
        )

    def stop(self) -> None:
        """See ``Delivery``."""

    def _archived(self, chain_uid: str, opened_at: str) -> int:
        today = utc(self._clock).date()
        days = (today - date.fromisoformat(opened_at[:10])).days
        folders = (f"{day_prefix(today - timedelta(days=back))}{chain_uid}/" for back in range(days + 1))
        return sum(1 for folder in folders for _ in self._objects.list(folder))
