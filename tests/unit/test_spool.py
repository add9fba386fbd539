"""The spool and its deliverer: order of retries, dead letters, redrive, and what stays in the file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.stores.events import Event
from shared.stores.spool import SpoolBus
from tests.support.sink import Received, Sink, sink
from tests.support.stepped_deliverer import SteppedDeliverer
from tests.support.stores import wait_until


class Travelling:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000 * 10**9

    def time_ns(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


def event(number: int) -> Event:
    return Event(f"e/{number}", "//test", "test", "2026-11-23T00:00:00Z", b"{}")


@pytest.fixture
def clock() -> Travelling:
    return Travelling()


@pytest.fixture
def archive() -> Iterator[Sink]:
    with sink() as running:
        yield running


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SpoolBus]:
    spool = SpoolBus(tmp_path / "spool.db")
    yield spool
    spool.close()


@pytest.fixture
def deliverer(tmp_path: Path, archive: Sink, clock: Travelling) -> Iterator[SteppedDeliverer]:
    with SteppedDeliverer(tmp_path / "spool.db", {"archive": archive.url}, attempts=3, clock=clock) as running:
        yield running


def drain(deliverer: SteppedDeliverer) -> None:
    while deliverer.deliver_once():
        pass


def test_events_wait_for_the_first_deliverer(bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink) -> None:
    for number in range(10):
        bus.publish(event(number))
    assert deliverer.pending() == 10
    drain(deliverer)
    assert sorted(archive.ids()) == [f"e/{number}" for number in range(10)]
    assert deliverer.pending() == 0
    assert deliverer.deliver_once() == 0


def test_the_oldest_go_first(bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink) -> None:
    for number in range(40):
        bus.publish(event(number))
    assert (deliverer.deliver_once(), deliverer.deliver_once(), deliverer.deliver_once()) == (32, 8, 0)
    assert archive.ids() == [f"e/{number}" for number in range(40)]


def test_a_sink_that_takes_nothing_now_is_asked_for_one_event_at_a_time(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, clock: Travelling
) -> None:
    for number in range(4):
        bus.publish(event(number))
    archive.answer = lambda received: 503 if received.id == "e/1" else 200
    assert deliverer.deliver_once() == 2
    assert deliverer.pending() == 3
    assert deliverer.deliver_once() == 2
    clock.move(60)
    archive.answer = lambda received: 200
    assert deliverer.deliver_once() == 1
    assert archive.ids() == ["e/0", "e/1", "e/2", "e/3", "e/1"]
    assert deliverer.pending() == 0


def test_connections_are_kept(bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink) -> None:
    for number in range(40):
        bus.publish(event(number))
    drain(deliverer)
    assert len({received.connection for received in archive.received}) == 1


def test_pauses_double_and_are_partly_random(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, clock: Travelling
) -> None:
    archive.answer = lambda received: 503
    bus.publish(event(1))
    assert deliverer.deliver_once() == 1
    clock.move(0.0999)
    assert deliverer.deliver_once() == 0
    clock.move(0.1002)
    assert deliverer.deliver_once() == 1
    clock.move(0.1999)
    assert deliverer.deliver_once() == 0
    clock.move(0.2002)
    assert deliverer.deliver_once() == 1


def test_what_fails_too_often_becomes_a_dead_letter_with_its_reason(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, clock: Travelling
) -> None:
    archive.answer = lambda received: 503 if received.id == "e/1" else 200
    bus.publish(event(1))
    bus.publish(event(2))
    for _ in range(5):
        deliverer.deliver_once()
        clock.move(60)
    assert archive.ids().count("e/1") == 3
    assert archive.ids().count("e/2") == 1
    (letter,) = deliverer.dead_letters()
    assert (letter.sink, letter.attempts, letter.reason, letter.event) == ("archive", 3, "HTTP 503", event(1))
    assert deliverer.pending() == 0


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error": {"code": "malformed_event", "message": "private"}}', "HTTP 400 malformed_event"),
        (409, b'{"error": {"code": "event_conflict"}}', "HTTP 409 event_conflict"),
        (413, b"", "HTTP 413"),
        (422, b'{"error": {"code": "a code with spaces \xc3\xa9"}}', "HTTP 422"),
        (400, b'{"error": {"code": "' + b"x" * 65 + b'"}}', "HTTP 400"),
        (400, b'{"error": {"code": 7}}', "HTTP 400"),
        (400, b'{"error": "private"}', "HTTP 400"),
        (400, b"[" * 15_000, "HTTP 400"),
        (400, b'{"error": {"code": "late"' + b" " * 20_000 + b"}}", "HTTP 400"),
        (404, b"<html>\xff</html>", "HTTP 404"),
    ],
    ids=lambda value: value[:24].decode(errors="replace") if isinstance(value, bytes) else None,
)
def test_what_a_sink_refuses_is_a_dead_letter_at_once(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, status: int, body: bytes, reason: str
) -> None:
    archive.answer = lambda received: status if received.id == "e/1" else 200
    archive.body = body
    bus.publish(event(1))
    bus.publish(event(2))
    drain(deliverer)
    (letter,) = deliverer.dead_letters()
    assert (letter.attempts, letter.reason, letter.event) == (1, reason, event(1))
    assert sorted(archive.ids()) == ["e/1", "e/2"]
    assert deliverer.pending() == 0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 301])
def test_what_a_sink_cannot_take_now_is_tried_again(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, clock: Travelling, status: int
) -> None:
    archive.answer = lambda received: status
    bus.publish(event(1))
    drain(deliverer)
    assert deliverer.dead_letters() == []
    archive.answer = lambda received: 200
    clock.move(60)
    drain(deliverer)
    assert archive.ids() == ["e/1"] * 2
    assert deliverer.pending() == 0


def test_connections_are_kept_over_refusals(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, clock: Travelling
) -> None:
    archive.answer = lambda received: 400
    archive.body = b'{"error": {"code": "malformed_event"}}'
    for number in range(20):
        bus.publish(event(number))
    drain(deliverer)
    assert len(archive.received) == 20
    assert len({received.connection for received in archive.received}) == 1


def test_dead_letters_can_be_delivered_after_all(
    bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink, clock: Travelling
) -> None:
    archive.answer = lambda received: 500
    bus.publish(event(1))
    for _ in range(3):
        deliverer.deliver_once()
        clock.move(60)
    archive.answer = lambda received: 200
    assert deliverer.redrive() == 1
    assert deliverer.dead_letters() == []
    assert deliverer.pending() == 1
    drain(deliverer)
    assert archive.ids() == ["e/1"] * 4
    assert (deliverer.pending(), deliverer.redrive()) == (0, 0)


def test_a_sink_that_is_not_there_is_a_reason_without_the_url(tmp_path: Path, bus: SpoolBus) -> None:
    with sink() as gone:
        url = gone.url
    with SteppedDeliverer(tmp_path / "spool.db", {"archive": url}, attempts=1) as deliverer:
        bus.publish(event(1))
        deliverer.deliver_once()
        assert [letter.reason for letter in deliverer.dead_letters()] == ["no answer (ConnectFailed)"]


def test_a_sink_that_does_not_answer_in_time(tmp_path: Path, bus: SpoolBus, archive: Sink) -> None:
    def hang(received: Received) -> int:
        time.sleep(0.5)
        return 200

    archive.answer = hang
    with SteppedDeliverer(
        tmp_path / "spool.db", {"archive": archive.url}, attempts=1, timeout_seconds=0.1
    ) as deliverer:
        bus.publish(event(1))
        deliverer.deliver_once()
        assert [letter.reason for letter in deliverer.dead_letters()] == ["no answer (DeadlineExceeded)"]
    wait_until(lambda: bool(archive.received))


def test_a_redirect_is_not_followed(bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink) -> None:
    archive.answer = lambda received: 307
    bus.publish(event(1))
    deliverer.deliver_once()
    assert len(archive.received) == 1
    assert deliverer.pending() == 1


def test_a_sink_that_hangs_holds_up_no_other(tmp_path: Path, bus: SpoolBus, archive: Sink) -> None:
    answered = threading.Event()

    def hang(received: Received) -> int:
        answered.wait(20)
        return 200

    with (
        sink() as slow,
        SteppedDeliverer(tmp_path / "spool.db", {"slow": slow.url, "archive": archive.url}) as deliverer,
    ):
        slow.answer = hang
        stop = threading.Event()
        running = threading.Thread(target=deliverer.run, args=(stop,))
        running.start()
        for number in range(20):
            bus.publish(event(number))
        wait_until(lambda: len(archive.received) == 20)
        assert slow.received == []
        answered.set()
        wait_until(lambda: deliverer.pending() == 0)
        stop.set()
        running.join()
        assert len(slow.received) == 20


def test_what_one_sink_lacks_stays_until_it_has_it(tmp_path: Path, bus: SpoolBus, archive: Sink) -> None:
    clock = Travelling()
    with sink() as other:
        other.answer = lambda received: 500
        with SteppedDeliverer(
            tmp_path / "spool.db", {"archive": archive.url, "other": other.url}, attempts=9, clock=clock
        ) as deliverer:
            bus.publish(event(1))
            deliverer.deliver_once()
            assert deliverer.pending() == 1
            other.answer = lambda received: 200
            clock.move(60)
            deliverer.deliver_once()
            assert deliverer.pending() == 0
        assert archive.ids() == ["e/1"]
        assert other.ids() == ["e/1", "e/1"]


def test_a_new_deliverer_goes_on_at_other_addresses(tmp_path: Path, bus: SpoolBus, clock: Travelling) -> None:
    bus.publish(event(1))
    with sink() as old, SteppedDeliverer(tmp_path / "spool.db", {"archive": old.url}, clock=clock) as deliverer:
        old.answer = lambda received: 500
        deliverer.deliver_once()
    bus.publish(event(2))
    clock.move(60)
    with sink() as new, SteppedDeliverer(tmp_path / "spool.db", {"archive": new.url}, clock=clock) as deliverer:
        drain(deliverer)
        assert sorted(new.ids()) == ["e/1", "e/2"]


def test_the_file_does_not_grow_with_what_was_delivered(
    tmp_path: Path, bus: SpoolBus, deliverer: SteppedDeliverer, archive: Sink
) -> None:
    for number in range(400):
        bus.publish(Event(f"e/{number}", "//test", "test", "2026-11-23T00:00:00Z", b"x" * 4000))
        if number % 10 == 9:
            drain(deliverer)
    bus.close()
    deliverer.close()
    assert (tmp_path / "spool.db").stat().st_size < 40 * 5000


def test_an_unusable_spool_ends_the_deliverer(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"no database " * 100)
    stop = threading.Event()
    with (
        SteppedDeliverer(tmp_path / "spool.db", {"archive": "http://127.0.0.1:9/"}) as deliverer,
        pytest.raises(StoreUnavailable, match="event spool"),
    ):
        deliverer.run(stop)
    assert stop.is_set()
