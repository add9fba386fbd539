"""The helpers that run Google's emulators: each says what is absent, and leaves nothing behind."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.support.emulators import firestore_emulator
from tests.support.pubsub_emulator import pubsub_emulator
from tests.support.tools import ABSENT


@pytest.mark.parametrize("emulator", [firestore_emulator, pubsub_emulator])
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_an_absent_emulator_is_told(
    emulator: Callable[[], AbstractContextManager[str]],
    ci: str,
    outcome: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=f"{ABSENT}java"), emulator():
        pytest.fail("it ran")


def test_it_serves_and_is_gone_afterwards() -> None:
    with firestore_emulator() as address:
        host, _, port = address.partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
