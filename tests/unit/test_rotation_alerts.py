"""What of rotation reaches people by the alerts topic, and what happens where the topic is down."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.errors import StoreUnavailable
from shared.policy.types import PolicyFile
from shared.rotation.alerts import AlertingLog
from shared.rotation.drivers.port import ProviderRefused, ProviderUnavailable
from shared.rotation.managed import ManagedSecret
from shared.rotation.service import RotationService
from shared.stores.events import Event
from tests.support.rotation import HOUR, NAME, TIMING, MemoryProvider, MemorySecrets
from tests.support.virtual_time import ManualClock, VirtualDocuments

DAY = 24 * HOUR


class Topic:
    """An event bus that keeps what it gets, or is down."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down = False

    def publish(self, event: Event) -> None:
        if self.down:
            raise StoreUnavailable("down")
        event.headers()
        self.events.append(event)

    def told(self) -> list[tuple[str, str]]:
        bodies = [msgspec.json.decode(event.data) for event in self.events]
        return [(body["event"], body["secret"]) for body in bodies]


class World:
    def __init__(self, policy: PolicyFile | None = None) -> None:
        self.clock = ManualClock()
        self.documents = VirtualDocuments(self.clock)
        self.store = MemorySecrets(self.clock)
        self.provider = MemoryProvider()
        self.topic = Topic()
        self.lines: list[str] = []
        self.policy = policy or PolicyFile()

    def run(self, after: float = 0) -> None:
        self.clock.advance(after)
        log = AlertingLog(self.topic, self.documents, self.clock, self.log)
        secrets = [ManagedSecret(NAME, self.provider, TIMING)]
        RotationService(self.store, self.documents, self.policy, self.clock, secrets, log).run()

    def log(self, severity: str, event: str, **fields: Any) -> None:
        self.lines.append(event)


@pytest.fixture
def world() -> World:
    world = World()
    world.run()
    assert world.topic.events == []
    return world


def failing(error: Exception) -> Any:
    def call(*_: object) -> Any:
        raise error

    return call


def test_a_failure_and_a_rotation_that_is_given_up_are_told(world: World) -> None:
    world.provider.create = failing(ProviderRefused("no"))  # type: ignore[method-assign]
    world.run(TIMING.period + 1)
    assert world.topic.told() == [("rotation.failed", NAME), ("rotation.aborted", NAME)]
    (first, _) = world.topic.events
    body = msgspec.json.decode(first.data)
    assert (first.type, first.source) == ("wardgate.rotation_alert", "//wardgate/rotate_secrets")
    assert (body["id"], body["severity"], body["state"]) == (first.id, "ERROR", "ABORTING")
    assert len({event.id for event in world.topic.events}) == 2


def test_what_is_overdue_is_told_once_a_day(world: World) -> None:
    world.provider.create = failing(ProviderUnavailable("down"))  # type: ignore[method-assign]
    world.run(TIMING.period + DAY + 1)
    for _ in range(5):
        world.run(60)
    overdue = [told for told in world.topic.told() if told[0] == "rotation.overdue"]
    assert overdue == [("rotation.overdue", NAME)]
    assert world.lines.count("rotation.overdue") == 6
    world.run(DAY)
    overdue = [told for told in world.topic.told() if told[0] == "rotation.overdue"]
    assert len(overdue) == 2


def test_a_key_that_only_people_can_make_is_called_to_mind() -> None:
    tree = {"secrets": {"period_days": 30, "per_secret": {"their-key": {"driver": {"kind": "remind"}}}}}
    world = World(msgspec.convert(tree, PolicyFile))
    world.store.create("their-key")
    world.store.add("their-key", b"sk-1")
    world.run()
    assert world.topic.events == []
    world.run(30 * DAY + 1)
    assert world.topic.told() == [("rotation.overdue", "their-key")]
    world.store.add("their-key", b"sk-2")
    world.run(DAY)
    assert world.topic.told() == [("rotation.overdue", "their-key")]


def test_a_topic_that_is_down_stops_no_rotation_and_is_tried_again(world: World) -> None:
    world.topic.down = True
    create = world.provider.create
    world.provider.create = failing(ProviderUnavailable("down"))  # type: ignore[method-assign]
    world.run(TIMING.period + DAY + 1)
    assert "rotation.alert_not_told" in world.lines
    world.topic.down = False
    world.run(1)
    assert ("rotation.overdue", NAME) in world.topic.told()
    world.provider.create = create  # type: ignore[method-assign]
    world.run(HOUR)
    assert len(world.provider.keys) == 2


def test_no_value_is_told(world: World) -> None:
    world.provider.test = failing(ProviderRefused("sk-leaky"))  # type: ignore[method-assign]
    world.run(TIMING.period + 1)
    world.run(DAY)
    told = b"".join(event.data for event in world.topic.events).decode()
    assert "aborted" in told
    assert "sk-" not in told
