"""The helpers that run Google's emulators: each says what is absent, and leaves nothing behind."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support import emulators
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


def _program(folder: Path, name: str, script: str = "exit 1") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("has_jar", [True, False])
def test_the_jar_is_run_by_java_and_where_it_is_not_found_gcloud_is_asked(
    has_jar: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "sdk" / "bin", "gcloud")
    _program(tmp_path / "bin", "java")
    monkeypatch.setenv("PATH", f"{tmp_path / 'sdk' / 'bin'}:{tmp_path / 'bin'}")
    monkeypatch.setattr(emulators, "_PACKAGED", tmp_path / "nowhere")
    jar = tmp_path / "sdk" / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    if has_jar:
        jar.parent.mkdir(parents=True)
        jar.touch()
    command = emulators._command("127.0.0.1:1234")
    if has_jar:
        assert command[0] == str(tmp_path / "bin" / "java")
        assert str(jar) in command
        assert command[-3:] == ["start", "--host=127.0.0.1", "--port=1234"]
    else:
        gcloud = str(tmp_path / "sdk" / "bin" / "gcloud")
        assert command == [gcloud, "beta", "emulators", "firestore", "start", "--host-port=127.0.0.1:1234"]


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_gcloud_without_the_emulator_is_told_in_its_own_words(
    ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "bin", "gcloud", "echo requires the installation of components; exit 1")
    _program(tmp_path / "bin", "java")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(emulators, "_PACKAGED", tmp_path / "nowhere")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="installation of components"), firestore_emulator():
        pytest.fail("it ran")


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """gcloud runs the emulator as a child's child, and does not pass on that it is ended."""
    script = tmp_path / "launcher"
    _program(tmp_path, "launcher", f"sleep 600 & echo $! > {tmp_path / 'child'}; wait")
    with (tmp_path / "log").open("wb") as log:
        process = emulators._start([str(script)], log.fileno())
    deadline = time.monotonic() + 20
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    emulators._stop(process)
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_serves_and_is_gone_afterwards() -> None:
    with firestore_emulator() as address:
        host, _, port = address.partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
