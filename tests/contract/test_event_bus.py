"""What every event bus must do, tried on each of them with real HTTP sinks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.stores.deliverer import Deliverer
from shared.stores.events import Event, EventBus
from shared.stores.spool import SpoolBus
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


@pytest.fixture
def sinks() -> Iterator[tuple[Sink, Sink]]:
    with sink() as archive, sink() as alerts:
        yield archive, alerts


@pytest.fixture(params=[spool], ids=["spool"])
def bus(request: pytest.FixtureRequest, tmp_path: Path, sinks: tuple[Sink, Sink]) -> Iterator[EventBus]:
    archive, alerts = sinks
    with request.param(tmp_path, {"archive": archive.url, "alerts": alerts.url}) as running:
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


def test_a_sink_that_failed_gets_the_event_again(bus: EventBus, sinks: tuple[Sink, Sink]) -> None:
    archive, alerts = sinks
    statuses = iter([500, 429, -1, 301, 200])
    archive.answer = lambda received: next(statuses, 200)
    bus.publish(event(1))
    wait_until(lambda: len(archive.received) == 5)
    wait_until(lambda: len(alerts.received) == 1)
    assert {each.body for each in archive.received} == {b'{"n": 1}'}
