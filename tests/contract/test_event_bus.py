"""What every event bus must do, tried on each of them with real HTTP sinks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3
from msgspec.structs import replace

from shared.audit.record import seal
from shared.audit.verify import Verifier
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.local.deliverer import Deliverer
from shared.local.pubsub_project import PubsubProject
from shared.policy.types import Audit
from shared.stores import pubsub_dead_letters
from shared.stores.connect import connect_dead_letters, connect_events
from shared.stores.events import MAX_ATTRIBUTE_BYTES, MAX_EVENT_BYTES, Event, EventBus
from shared.stores.folder_objects import FolderObjects
from shared.stores.pubsub_bus import PubsubBus
from tests.support.audit_events import Peppers, interaction
from tests.support.function_process import FunctionProcess
from tests.support.sink import Sink, sink
from tests.support.stores import wait_until

DEAD_LETTERS = "audit-dead-letters"


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
def spool(folder: Path, sinks: dict[str, str]) -> Iterator[str]:
    """A spool with a deliverer at work; the value is its URI."""
    stop = threading.Event()
    with Deliverer(folder / "spool.db", sinks) as deliverer:
        running = threading.Thread(target=deliverer.run, args=(stop,))
        running.start()
        yield f"spool://{folder}/spool.db"
        stop.set()
        running.join()


def pubsub(project: PubsubProject, sinks: dict[str, str]) -> str:
    """A topic with a push subscription for each sink, and one for what they refuse; the value is its URI."""
    project.make_topic("audit")
    project.make_topic("audit-dead")
    project.subscribe("audit-dead", DEAD_LETTERS)
    for name, url in sinks.items():
        project.push("audit", name, url, dead_letter_topic="audit-dead")
    return f"pubsub://{project.name}/audit"


@pytest.fixture
def sinks() -> Iterator[tuple[Sink, Sink]]:
    with sink() as archive, sink() as alerts:
        yield archive, alerts


@pytest.fixture(params=["spool", "pubsub"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, sinks: tuple[Sink, Sink]) -> Iterator[str]:
    archive, alerts = sinks
    urls = {"archive": archive.url, "alerts": alerts.url}
    if request.param == "pubsub":
        yield pubsub(request.getfixturevalue("pubsub_project"), urls)
        return
    with spool(tmp_path, urls) as running:
        yield running


@pytest.fixture
def bus(uri: str) -> EventBus:
    if uri.startswith("pubsub:"):
        # The emulator shares the machine with every other test; the deadline is not what is tried here.
        return PubsubBus(uri.split("/")[2], "audit", timeout_seconds=30.0)
    return connect_events(uri)


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


def test_what_a_sink_refuses_is_a_dead_letter_that_can_be_delivered_after_all(
    uri: str, bus: EventBus, sinks: tuple[Sink, Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub_dead_letters, "_PULL_SECONDS", 1.0)
    archive, alerts = sinks
    archive.answer = lambda received: 400
    refused = event(1, subject='né "1"')
    bus.publish(refused)
    dead_letters = connect_dead_letters(uri, DEAD_LETTERS)
    wait_until(lambda: bool(dead_letters.dead_letters(1)))
    for _ in range(2):  # to look at them leaves them there
        (letter,) = dead_letters.dead_letters(1)
        assert (letter.sink, letter.event) == ("archive", refused)
        assert letter.attempts == len(archive.received)
    wait_until(lambda: alerts.ids() == ["chain/1"])

    archive.answer = lambda received: 204
    archive.received.clear()
    assert dead_letters.redrive() == 1
    wait_until(lambda: archive.ids() == ["chain/1"])
    assert [name for name in archive.received[0].headers if "deadletter" in name.lower()] == []
    assert dead_letters.dead_letters(1) == []


# --- Pub/Sub and a sink function ----------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def archive(home: Path) -> Iterator[FunctionProcess]:
    with FunctionProcess("audit_archive", home) as running:
        yield running


def test_a_chain_is_pushed_to_the_archive(pubsub_project: PubsubProject, archive: FunctionProcess, home: Path) -> None:
    pubsub_project.make_topic("audit")
    pubsub_project.push("audit", "audit-archive", archive.url)
    bus = PubsubBus(pubsub_project.name, "audit", timeout_seconds=30)
    writer = ChainWriter(bus, Peppers(), Audit(), SystemClock(), "//wardgate/guard")
    for number in range(20):
        writer.record(interaction(request_id=f"req_{number}"))
    writer.close()
    objects = FolderObjects(home / "objects")
    wait_until(lambda: len(list(objects.list("archive/"))) == 22)
    assert Verifier(objects, {}).verify(datetime.now(UTC)).integrity.sound
    assert "audit.refused" not in archive.output


def test_what_pubsub_adds_on_the_way_changes_nothing(archive: FunctionProcess, home: Path) -> None:
    """The headers of https://cloud.google.com/pubsub/docs/payload-unwrapping and of an authenticated push; the
    emulator sends no token."""
    sealed = seal(
        "wardgate.chain.open",
        {"n": 1},
        source="//wardgate/guard",
        time=1_795_000_000 * 10**9,
        chain_uid="a" * 32,
        seq=0,
        prev_event="0" * 64,
    )
    headers = {
        **sealed.event.headers(),
        "authorization": "Bearer made.up.token",
        "from": "noreply@google.com",
        "user-agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "x-goog-pubsub-message-id": "2070443601311540",
        "x-goog-pubsub-publish-time": "2026-11-23T01:02:03.456Z",
        "x-goog-pubsub-subscription-name": "projects/project-1/subscriptions/audit-archive",
    }
    answer = urllib3.request("POST", archive.url, body=sealed.event.data, headers=headers, retries=False, timeout=10)
    assert answer.status == 200, answer.data
    assert [name for name in FolderObjects(home / "objects").list("archive/") if "a" * 32 in name]
