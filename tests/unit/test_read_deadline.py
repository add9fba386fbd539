"""Reads of a body end in time on real sockets, and a read that ended leaves its connection alone."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.web import read_deadline
from shared.web.read_deadline import ReadDeadline

FOREVER = 60
SOON = 0.2


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's and its client's end of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        server.settimeout(FOREVER)
        client.settimeout(FOREVER)
        yield server, client


@contextmanager
def trickling(client: socket.socket) -> Iterator[None]:
    """Send a byte now and then until the block ends."""
    enough = threading.Event()

    def send() -> None:
        while not enough.wait(0.01):
            client.sendall(b"x")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        enough.set()
        sender.join()


def read_all(server: socket.socket) -> bytes:
    received = b""
    while piece := server.recv(100):
        received += piece
    return received


def test_a_silent_client_is_not_waited_for() -> None:
    with connection() as (server, client):
        with ReadDeadline({"gunicorn.socket": server}, SOON) as reading:
            assert read_all(server) == b""
        assert reading.passed
        server.sendall(b"408")
        assert client.recv(10) == b"408"


def test_a_trickle_counts_as_a_whole() -> None:
    with connection() as (server, client), trickling(client):
        with ReadDeadline({"gunicorn.socket": server}, SOON) as reading:
            assert read_all(server)
        assert reading.passed


def test_what_has_arrived_is_read_whatever_comes_later() -> None:
    with connection() as (server, client):
        client.sendall(b"body")
        with ReadDeadline({"gunicorn.socket": server}, SOON) as reading:
            assert server.recv(10) == b"body"
        assert not reading.passed
        time.sleep(SOON + 2 * read_deadline._TICK_SECONDS)
        client.sendall(b"the next request")
        assert server.recv(100) == b"the next request"
        assert not reading.passed


def test_each_read_has_its_own_time() -> None:
    with connection() as (slow, _), connection() as (patient, client):
        with (
            ReadDeadline({"gunicorn.socket": patient}, FOREVER) as later,
            ReadDeadline({"gunicorn.socket": slow}, SOON) as sooner,
        ):
            assert read_all(slow) == b""
            client.sendall(b"late")
            assert patient.recv(10) == b"late"
        assert (sooner.passed, later.passed) == (True, False)


def test_many_reads_end_by_one_thread() -> None:
    ends: list[bool] = []

    def read() -> None:
        with connection() as (server, _), ReadDeadline({"gunicorn.socket": server}, SOON) as reading:
            read_all(server)
            ends.append(reading.passed)

    readers = [threading.Thread(target=read) for _ in range(30)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(FOREVER)
    assert ends == [True] * 30
    assert [thread.name for thread in threading.enumerate()].count("read-deadline") == 1


def test_a_connection_that_was_closed_meanwhile_harms_nobody() -> None:
    with connection() as (server, _), ReadDeadline({"gunicorn.socket": server}, 0.01) as reading:
        server.close()
        while not reading.passed:
            time.sleep(0.01)
    test_a_silent_client_is_not_waited_for()


@pytest.mark.parametrize("environ", [{}, {"gunicorn.socket": object()}])
def test_without_a_socket_nothing_is_bounded(environ: dict[str, object]) -> None:
    with ReadDeadline(environ, 0.0) as reading:
        time.sleep(2 * read_deadline._TICK_SECONDS)
    assert not reading.passed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_a_thread_of_its_own() -> None:
    test_a_silent_client_is_not_waited_for()
    child = os.fork()
    if child == 0:
        try:
            test_a_silent_client_is_not_waited_for()
        except BaseException:  # whatever it is, the parent is to know, and the child not to go on as pytest
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
