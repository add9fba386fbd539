"""What every event bus must do, tried on each of them with real HTTP sinks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from shared.stores.deliverer import Deliverer
from shared.stores.events import MAX_ATTRIBUTE_BYTES, MAX_EVENT_BYTES, Event, EventBus
from shared.stores.pubsub_bus import PubsubBus
from shared.stores.spool import SpoolBus
from tests.support.pubsub_emulator import PubsubProject
from tests.support.sink import Sink, sink
from tests.support.stores import wait_until


def event(number: int, subject: str | None = None) -> Event:
    return Event(
        id=f"chain/{number}",
        source="//wardgate/guard",
        type="wardgate.interaction.finished.v1",
        time="2026-11-23T01:02:03.456789Z",
        data=b'{"n": %d}' % number,
        subject=subject,
    )


@contextmanager
def spool(folder: Path, sinks: dict[str, str]) -> Iterator[EventBus]:
    """A spool with a deliverer at work."""
    stop = threading.Event()
    with Deliverer(folder / "spool.db", sinks) as deliverer:
        running = threading.Thread(target=deliverer.run, args=(stop,))
        running.start()
        bus = SpoolBus(folder / "spool.db")
        yield bus
        stop.set()
        running.join()
        bus.close()


def pubsub(project: PubsubProject, sinks: dict[str, str]) -> EventBus:
    """A topic with a push subscription for each sink."""
    project.make_topic("audit")
    for name, url in sinks.items():
        project.push("audit", f"audit-{name}", url)
    # The emulator shares the machine with every other test; the deadline is not what is tried here.
    return PubsubBus(project.name, "audit", timeout_seconds=30.0)


@pytest.fixture
def sinks() -> Iterator[tuple[Sink, Sink]]:
    with sink() as archive, sink() as alerts:
        yield archive, alerts


@pytest.fixture(params=["spool", "pubsub"])
def bus(request: pytest.FixtureRequest, tmp_path: Path, sinks: tuple[Sink, Sink]) -> Iterator[EventBus]:
    archive, alerts = sinks
    urls = {"archive": archive.url, "alerts": alerts.url}
    if request.param == "pubsub":
        yield pubsub(request.getfixturevalue("pubsub_project"), urls)
        return
    with spool(tmp_path, urls) as running:
        yield running


def test_every_sink_gets_every_event(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    for number in range(50):
        bus.publish(event(number))
    for each in sinks:
        wait_until(lambda each=each: set(each.ids()) == {f"chain/{number}" for number in range(50)})


def test_an_event_arrives_as_a_binary_cloud_event(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    bus.publish(event(1, subject='né "100 %"\r\nx: y'))
    wait_until(lambda: bool(sinks[0].received))
    received = sinks[0].received[0]
    assert received.body == b'{"n": 1}'
    assert received.headers.get_all("content-type") == ["application/json"]
    assert {name: value for name, value in received.headers.items() if name.startswith("ce-")} == {
        "ce-id": "chain/1",
        "ce-source": "//wardgate/guard",
        "ce-type": "wardgate.interaction.finished.v1",
        "ce-time": "2026-11-23T01:02:03.456789Z",
        "ce-specversion": "1.0",
        "ce-subject": "n%C3%A9%20%22100%20%25%22%0D%0Ax:%20y",
    }


def test_threads_may_publish_at_once(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: bus.publish(event(number)), range(200)))
    wait_until(lambda: set(sinks[0].ids()) == {f"chain/{number}" for number in range(200)})


def test_what_is_too_large_for_some_bus_is_refused(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    with pytest.raises(ValueError, match="at most"):
        bus.publish(replace(event(1), data=b"x" * (MAX_EVENT_BYTES + 1)))
    with pytest.raises(ValueError, match="subject holds at most"):
        bus.publish(event(2, subject="é" * 400))
    bus.publish(event(3, subject="x" * MAX_ATTRIBUTE_BYTES))
    wait_until(lambda: bool(sinks[0].received))
    assert sinks[0].ids() == ["chain/3"]


def test_a_large_event_arrives_whole(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    """As large as a record of the trail may be. (The emulator itself takes no more than 4 MiB.)"""
    data = b'"%s"' % (b"x" * 300_000)
    bus.publish(replace(event(1), data=data))
    wait_until(lambda: bool(sinks[0].received))
    assert sinks[0].received[0].body == data


def test_a_sink_that_failed_gets_the_event_again(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    archive, alerts = sinks
    statuses = iter([500, 429, -1, 301, 200])
    archive.answer = lambda received: next(statuses, 200)
    bus.publish(event(1))
    wait_until(lambda: len(archive.received) == 5)
    wait_until(lambda: len(alerts.received) == 1)
    assert {each.body for each in archive.received} == {b'{"n": 1}'}
