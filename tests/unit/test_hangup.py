"""Hang-ups are noticed on real sockets, once, and only by the request that they concern."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from shared.web import hangup
from shared.web.hangup import watch


@contextlib.contextmanager
def connection():
    """A server's and its client's end of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        yield server, client


def environ(server):
    return {"gunicorn.socket": server}


def test_a_close_is_noticed():
    gone = threading.Event()
    with connection() as (server, client), watch(environ(server), gone.set):
        assert not gone.wait(0.05)
        client.close()
        assert gone.wait(30)


def test_a_reset_is_noticed():
    gone = threading.Event()
    with connection() as (server, client), watch(environ(server), gone.set):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.close()
        assert gone.wait(30)


def test_a_client_that_had_left_before_is_noticed():
    gone = threading.Event()
    with connection() as (server, client):
        client.close()
        with watch(environ(server), gone.set):
            assert gone.wait(30)


def test_pipelined_data_is_no_hangup_and_does_not_hide_one():
    gone = threading.Event()
    with connection() as (server, client), watch(environ(server), gone.set):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        assert not gone.wait(0.1)
        client.close()
        assert gone.wait(30)


def test_it_is_told_once():
    told = []
    with connection() as (server, client), watch(environ(server), lambda: told.append(1)):
        client.close()
        deadline = time.monotonic() + 30
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
    assert told == [1]


def test_after_the_watch_nothing_is_told():
    gone = threading.Event()
    with connection() as (server, client):
        with watch(environ(server), gone.set):
            pass
        client.close()
        assert not gone.wait(0.1)


def test_a_kept_alive_connection_is_watched_request_by_request():
    with connection() as (server, client):
        for _ in range(50):
            gone = threading.Event()
            with watch(environ(server), gone.set):
                pass
        with watch(environ(server), gone.set):
            client.close()
            assert gone.wait(30)


def test_closing_twice_is_harmless():
    with connection() as (server, _):
        running = watch(environ(server), lambda: None)
        running.close()
        running.close()


@contextlib.contextmanager
def at_descriptor(number):
    """A connection whose server's end has this descriptor."""
    with connection() as (server, client):
        os.dup2(server.fileno(), number)
        server.close()
        with socket.socket(fileno=number) as moved:
            yield moved, client


def test_a_watch_closed_late_does_not_end_its_successor_on_the_same_descriptor():
    forgotten, gone = threading.Event(), threading.Event()
    with at_descriptor(900) as (server, _):
        late = watch(environ(server), forgotten.set)
    with at_descriptor(900) as (server, client), watch(environ(server), gone.set):
        late.close()
        client.close()
        assert gone.wait(30)
    assert not forgotten.is_set()


def test_an_event_that_comes_late_is_not_taken_for_the_descriptors_new_owner():
    gone = threading.Event()
    with connection() as (server, _), watch(environ(server), gone.set) as running:
        found = running._watcher._take_if_gone(server.fileno())
        assert found is None
        assert not gone.is_set()


def test_a_second_watch_of_the_same_request_takes_over():
    first, second = threading.Event(), threading.Event()
    with connection() as (server, client), watch(environ(server), first.set), watch(environ(server), second.set):
        client.close()
        assert second.wait(30)
    assert not first.is_set()


def test_a_callback_that_fails_does_not_end_the_watching(capfd):
    gone = threading.Event()
    with connection() as (server, client), watch(environ(server), lambda: 1 / 0):
        client.close()
        with connection() as (other, leaving), watch(environ(other), gone.set):
            leaving.close()
            assert gone.wait(30)


@pytest.mark.parametrize("given", [{}, {"gunicorn.socket": None}, {"gunicorn.socket": socket.socket}])
def test_without_a_socket_nothing_is_watched(given):
    with watch(given, lambda: None) as running:
        assert running._watcher is None


def test_a_closed_socket_is_not_watched():
    closed = socket.socket()
    closed.close()
    with watch(environ(closed), lambda: None) as running:
        assert running._watcher is None


def test_without_epoll_nothing_is_watched(monkeypatch):
    monkeypatch.setattr(hangup, "_HAS_EPOLL", False)
    gone = threading.Event()
    with connection() as (server, client), watch(environ(server), gone.set):
        client.close()
        assert not gone.wait(0.1)


FORKED = """
import os, socket, threading
from shared.web.hangup import watch

def noticed():
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with watch({"gunicorn.socket": ours}, gone.set):
        theirs.close()
        return gone.wait(30)

assert noticed()
child = os.fork()
if child == 0:
    os._exit(0 if noticed() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_forked_process_watches_for_itself():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=60)


def test_many_threads_with_clients_that_come_and_go():
    wrong = []

    def requests(number):
        for turn in range(60):
            gone = threading.Event()
            with connection() as (server, client):
                with watch(environ(server), gone.set):
                    if leaves := (turn + number) % 2 == 0:
                        client.close()
                    if leaves and not gone.wait(30):
                        wrong.append("missed")
                if not leaves and gone.is_set():
                    wrong.append("invented")

    threads = [threading.Thread(target=requests, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
