"""The helper that runs Google's emulator: it says what is absent, and leaves nothing behind."""

from __future__ import annotations

import socket

import pytest

from tests.support.emulators import firestore_emulator
from tests.support.tools import ABSENT


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_an_absent_emulator_is_told(ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=f"{ABSENT}java"), firestore_emulator():
        pytest.fail("it ran")


def test_it_serves_and_is_gone_afterwards() -> None:
    with firestore_emulator() as address:
        host, _, port = address.partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
