"""Whose address a request counts on, and the cap for each."""

from __future__ import annotations

import threading

import pytest

from shared.errors import RateLimited
from shared.identity.addresses import AddressCap, client_address
from tests.support.virtual_time import ManualClock

PEER = "192.0.2.1"


@pytest.mark.parametrize(
    ("header", "trusted", "address"),
    [
        (None, 0, PEER),
        (None, 2, PEER),
        ("198.51.100.7", 0, PEER),
        ("198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9,198.51.100.7", 2, "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9 ,\t198.51.100.7", 2, "203.0.113.9"),
        ("198.51.100.7", 2, PEER),
        ("", 1, PEER),
        (",", 1, PEER),
        ("198.51.100.7,", 1, PEER),
        ("unknown", 1, PEER),
        ("198.51.100.7:8080", 1, PEER),
        ("010.0.0.1", 1, PEER),
        ("198.51.100.256", 1, PEER),
        ("evil, 198.51.100.7", 2, PEER),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", 1, "2001:db8:1:2::/64"),
        ("[2001:db8::1]", 1, PEER),
        ("::ffff:198.51.100.7", 1, "198.51.100.7"),
    ],
)
def test_the_entry_that_the_outermost_proxy_wrote(header: str | None, trusted: int, address: str) -> None:
    assert client_address(PEER, header, trusted) == address


@pytest.mark.parametrize(
    ("peer", "address"),
    [("::1", "::/64"), ("2001:db8::5", "2001:db8::/64"), ("::ffff:192.0.2.1", PEER), ("", ""), ("unix", "unix")],
)
def test_the_peer_itself(peer: str, address: str) -> None:
    assert client_address(peer, None, 0) == address


def retry_after(cap: AddressCap, address: str = PEER) -> int:
    """Seconds to wait, which the error must say."""
    with pytest.raises(RateLimited) as caught:
        cap.count(address)
    assert caught.value.status == 429
    return int(caught.value.headers["retry-after"])


def test_a_burst_then_one_at_a_time() -> None:
    clock = ManualClock()
    cap = AddressCap(60, clock)
    for _ in range(60):
        cap.count(PEER)
    assert retry_after(cap) == 1
    clock.advance(0.999)
    retry_after(cap)
    clock.advance(0.001)
    cap.count(PEER)
    assert retry_after(cap) == 1
    clock.advance(30)
    for _ in range(30):
        cap.count(PEER)
    retry_after(cap)


def test_refusals_are_not_counted() -> None:
    clock = ManualClock()
    cap = AddressCap(1, clock)
    cap.count(PEER)
    for _ in range(1000):
        assert retry_after(cap) == 60
    clock.advance(60)
    cap.count(PEER)


def test_addresses_do_not_share() -> None:
    cap = AddressCap(1, ManualClock())
    cap.count("198.51.100.1")
    cap.count("198.51.100.2")
    retry_after(cap, "198.51.100.1")


def test_the_error_says_what_was_too_much() -> None:
    cap = AddressCap(1, ManualClock(), code="too_many_failed_logins", message="Too many failed logins.")
    cap.count(PEER)
    with pytest.raises(RateLimited) as caught:
        cap.count(PEER)
    assert caught.value.code == "too_many_failed_logins"
    assert caught.value.message == "Too many failed logins. Retry in 60 s."


def test_memory_is_bounded_and_whoever_keeps_knocking_is_not_forgotten() -> None:
    cap = AddressCap(1, ManualClock())
    cap.count("attacker")
    cap.count("silent")
    for number in range(25_000):
        cap.count(f"other {number}")
        if number % 5000 == 0:
            retry_after(cap, "attacker")
    assert len(cap._empty_at) == 10_000
    retry_after(cap, "attacker")
    cap.count("silent")


def test_a_clock_that_is_set_back_blocks_nobody_for_long() -> None:
    clock = ManualClock()
    cap = AddressCap(1, clock)
    cap.count(PEER)
    clock.advance(-86_400)
    assert retry_after(cap) == 60
    clock.advance(60)
    cap.count(PEER)


def test_threads_are_counted_together() -> None:
    cap = AddressCap(50, ManualClock())
    admitted: list[int] = []

    def knock() -> None:
        for _ in range(20):
            try:
                cap.count(PEER)
                admitted.append(1)
            except RateLimited:
                pass

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 50
