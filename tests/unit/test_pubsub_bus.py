"""The Pub/Sub adapter against servers that misbehave: what shares a request, what is told of a failure, and when."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from shared.errors import StoreError, StoreUnavailable
from shared.stores import google_channel, pubsub_bus
from shared.stores.events import MAX_EVENT_BYTES, Event
from shared.stores.pubsub_bus import PubsubBus
from tests.support.pubsub_server import PubsubServer, pubsub_server
from tests.support.stores import wait_until

ROOT = Path(__file__).resolve().parents[2]


def event(number: int, data: bytes = b"{}") -> Event:
    return Event(f"e/{number}", "//test", "test", "2026-11-23T00:00:00Z", data)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubsubServer]:
    with pubsub_server() as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        yield running


class Publishing:
    """Threads that publish an event each, and what came of it."""

    def __init__(self, bus: PubsubBus) -> None:
        self.bus = bus
        self.errors: dict[int, Exception | None] = {}
        self._threads: list[threading.Thread] = []

    def start(self, *events: Event) -> None:
        for each in events:
            self._threads.append(threading.Thread(target=self._publish, args=(each,)))
            self._threads[-1].start()

    def join(self) -> dict[int, Exception | None]:
        for thread in self._threads:
            thread.join()
        return self.errors

    def _publish(self, each: Event) -> None:
        number = int(each.id.removeprefix("e/"))
        try:
            self.bus.publish(each)
        except (StoreError, ValueError) as error:
            self.errors[number] = error
        else:
            self.errors[number] = None


def gathered(bus: PubsubBus) -> int:
    """How many events wait for the request in flight."""
    return sum(map(len, bus._lane.groups._waiting.values()))


def behind_a_request(bus: PubsubBus, server: PubsubServer, *events: Event) -> Publishing:
    """Publish event 0, and have ``events`` wait for its answer."""
    publishing = Publishing(bus)
    server.open.clear()
    publishing.start(event(0))
    wait_until(lambda: len(server.requests) == 1)
    publishing.start(*events)
    wait_until(lambda: gathered(bus) == len(events))
    return publishing


def test_what_a_request_carries(server: PubsubServer) -> None:
    PubsubBus("project-1", "audit").publish(event(1, b'{"n": 1}'))
    (request,), (headers,) = server.requests, server.headers
    assert request.topic == "projects/project-1/topics/audit"
    assert headers["x-goog-request-params"] == "topic=projects%2Fproject-1%2Ftopics%2Faudit"
    (message,) = request.messages
    assert message.data == b'{"n": 1}'
    assert dict(message.attributes) == {
        "content-type": "application/json",
        "ce-id": "e/1",
        "ce-source": "//test",
        "ce-type": "test",
        "ce-time": "2026-11-23T00:00:00Z",
        "ce-specversion": "1.0",
    }
    assert {descriptor.name for descriptor, _ in message.ListFields()} == {"data", "attributes"}, "no ordering key"


def test_what_waits_shares_the_next_request(server: PubsubServer) -> None:
    publishing = behind_a_request(PubsubBus("p", "audit"), server, *map(event, range(1, 41)))
    server.open.set()
    assert publishing.join() == dict.fromkeys(range(41))
    assert server.sizes() == [1, 40]
    assert len(server.peers) == 1


def test_a_request_has_bounds(server: PubsubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    large = [event(number, b"x" * 4_000_000) for number in range(1, 4)]
    publishing = behind_a_request(PubsubBus("p", "audit"), server, *large)
    server.open.set()
    assert publishing.join() == dict.fromkeys(range(4))
    assert server.sizes() == [1, 2, 1]
    assert max(request.ByteSize() for request in server.requests) < pubsub_bus.MOST_REQUEST_BYTES + 1000

    server.requests.clear()
    monkeypatch.setattr(pubsub_bus, "MOST_MESSAGES", 10)
    publishing = behind_a_request(PubsubBus("p", "audit"), server, *map(event, range(1, 26)))
    server.open.set()
    publishing.join()
    assert server.sizes() == [1, 10, 10, 5]


def test_the_largest_event_fits_a_request(server: PubsubServer) -> None:
    bus = PubsubBus("p", "audit", timeout_seconds=20)
    bus.publish(Event("e" * 1000, "s" * 1000, "t" * 1000, "2026-11-23T00:00:00Z", b"x" * MAX_EVENT_BYTES, "s" * 1000))
    assert server.requests[0].ByteSize() < 10_000_000


def test_what_is_in_flight_has_a_bound_and_is_given_back(server: PubsubServer) -> None:
    bus = PubsubBus("p", "audit", timeout_seconds=20)
    waiting = [event(number, b"x" * 8_000_000) for number in range(1, 4)]
    publishing = behind_a_request(bus, server, *waiting)
    with pytest.raises(StoreUnavailable, match="does not keep up"):
        bus.publish(event(9, b"x" * 8_000_000))
    server.open.set()
    assert publishing.join() == dict.fromkeys(range(4))
    bus.publish(event(9, b"x" * 8_000_000))
    assert bus._lane._bytes == 0


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
def test_a_failed_request_is_sent_once_and_told_to_all(server: PubsubServer, code: grpc.StatusCode) -> None:
    bus = PubsubBus("p", "audit")
    server.refusal = lambda request: code
    publishing = behind_a_request(bus, server, event(1), event(2))
    server.open.set()
    errors = publishing.join()
    assert [type(error) for error in errors.values()] == [StoreUnavailable] * 3
    assert len({id(error) for error in errors.values()}) == 3, "an exception belongs to one thread"
    assert all(code.name in str(error) and "secret" not in str(error) for error in errors.values())
    assert server.sizes() == [1, 2]
    assert bus._lane._bytes == 0


def test_an_event_that_is_refused_takes_no_other_with_it(server: PubsubServer) -> None:
    def refusal(request: Any) -> grpc.StatusCode | None:
        bad = any(message.data == b"bad" for message in request.messages)
        return grpc.StatusCode.INVALID_ARGUMENT if bad else None

    server.refusal = refusal
    publishing = behind_a_request(PubsubBus("p", "audit"), server, event(1), event(2, b"bad"), event(3))
    server.open.set()
    errors = publishing.join()
    assert isinstance(errors.pop(2), ValueError)
    assert errors == {0: None, 1: None, 3: None}
    assert server.sizes() == [1, 3, 1, 1, 1]


@pytest.mark.parametrize("ids", [[], [""]])
def test_without_an_id_an_event_is_not_acknowledged(server: PubsubServer, ids: list[str]) -> None:
    server.message_ids = lambda count: ids
    with pytest.raises(StoreUnavailable):
        PubsubBus("p", "audit").publish(event(1))


def test_each_event_needs_an_id_of_its_own(server: PubsubServer) -> None:
    publishing = behind_a_request(PubsubBus("p", "audit"), server, event(1), event(2))
    server.message_ids = lambda count: ["id"]
    server.open.set()
    errors = list(publishing.join().values())
    assert [type(error) for error in errors].count(StoreUnavailable) == 1


def test_nobody_waits_longer_than_its_own_time(server: PubsubServer) -> None:
    bus = PubsubBus("p", "audit", timeout_seconds=0.5)
    bus.publish(event(0))
    server.requests.clear()
    server.open.clear()
    publishing = Publishing(bus)
    started = time.monotonic()
    publishing.start(*map(event, range(1, 9)))
    errors = publishing.join()
    assert time.monotonic() - started >= 0.5
    assert [type(error) for error in errors.values()] == [StoreUnavailable] * 8
    server.open.set()
    bus.publish(event(9))
    wait_until(lambda: bus._lane._bytes == 0)
    assert gathered(bus) == 0


def test_a_server_that_is_gone_is_found_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with pubsub_server() as server:
        address = server.address
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        bus = PubsubBus("p", "audit", timeout_seconds=0.3)
        bus.publish(event(1))
    for number in range(3):
        with pytest.raises(StoreUnavailable):
            bus.publish(event(number))
    with pubsub_server(address) as server:

        def published() -> bool:
            try:
                bus.publish(event(1))
            except StoreUnavailable:
                return False
            return True

        wait_until(published)
        assert server.sizes()


def test_a_black_hole_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_channel, "FIRST_CALL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{hole.getsockname()[1]}")
        bus = PubsubBus("p", "audit", timeout_seconds=0.2)
        for number in range(2):
            with pytest.raises(StoreUnavailable):
                bus.publish(event(number))
        publishing = Publishing(bus)
        publishing.start(*map(event, range(8)))
        assert [type(error) for error in publishing.join().values()] == [StoreUnavailable] * 8


_FORK = """
import json, os, sys, threading
from shared.stores.connect import connect_events
from shared.stores.events import Event
bus = connect_events("pubsub://project-1/audit")
event = Event("e/1", "//test", "test", "2026-11-23T00:00:00Z", b"{}")
lane = bus._lane
lane.groups._waiting[bus._topic] = __import__("collections").deque()  # as if a thread were at it while the fork happens
child = os.fork()
if child == 0:
    bus.publish(event)
    os._exit(0)
print(json.dumps([os.waitpid(child, 0)[1],
                  [name for name in ("google.auth", "google.api_core", "google.cloud.pubsub", "proto")
                   if name in sys.modules]]))
"""


def test_a_child_publishes_by_itself_and_the_emulator_needs_no_google_library(server: PubsubServer) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", _FORK], env=environment, capture_output=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == [0, []]
    assert server.sizes() == [1]
