"""Google's emulators: what starts them, that what is absent is told with its remedy, and that nothing is left over."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from shared.local import emulators
from shared.local.emulators import FIRESTORE, PUBSUB, Emulator, EmulatorAbsent
from shared.local.processes import Process
from tests.support.emulators import firestore_emulator, pubsub_emulator
from tests.support.tools import ABSENT

JARS = {FIRESTORE: "cloud-firestore-emulator.jar", PUBSUB: "lib/cloud-pubsub-emulator-0.8.20-all.jar"}


@pytest.fixture
def sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """gcloud and Java that fail at once, and no component."""
    program(tmp_path / "sdk" / "bin" / "gcloud")
    program(tmp_path / "bin" / "java")
    monkeypatch.setattr(emulators, "_PACKAGED", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", f"{tmp_path / 'sdk' / 'bin'}:{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "sdk"


def program(path: Path, script: str = "exit 1") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("emulator", [firestore_emulator, pubsub_emulator])
@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_test_tells_what_is_absent(
    emulator: Callable[[], AbstractContextManager[str]],
    ci: str,
    outcome: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=f"{ABSENT}java"), emulator():
        pytest.fail("it ran")


@pytest.mark.parametrize("emulator", [FIRESTORE, PUBSUB], ids=lambda each: each.title)
def test_its_jar_is_run_by_java(emulator: Emulator, sdk: Path) -> None:
    jar = sdk / "platform" / emulator.component / JARS[emulator]
    jar.parent.mkdir(parents=True)
    jar.touch()
    command = emulator.command(1234)
    assert command[0] == str(sdk.parent / "bin" / "java")
    assert str(jar) in command
    assert command[-2:] == ("--host=127.0.0.1", "--port=1234")


@pytest.mark.parametrize("emulator", [FIRESTORE, PUBSUB], ids=lambda each: each.title)
def test_gcloud_is_asked_where_a_component_has_other_files_than_it_had(emulator: Emulator, sdk: Path) -> None:
    (sdk / "platform" / emulator.component).mkdir(parents=True)
    command = emulator.command(1234)
    gcloud = str(sdk / "bin" / "gcloud")
    assert command == (gcloud, "--quiet", "beta", "emulators", emulator.launcher, "start", "--host-port=127.0.0.1:1234")


@pytest.mark.parametrize("emulator", [FIRESTORE, PUBSUB], ids=lambda each: each.title)
def test_an_absent_component_is_told_with_its_remedy(emulator: Emulator, sdk: Path) -> None:
    with pytest.raises(EmulatorAbsent) as told:
        emulator.command(1234)
    (fault,) = told.value.faults
    assert f"the {emulator.title} emulator is not installed" in str(fault)
    assert f"`gcloud components install {emulator.component}`" in str(fault)


def test_an_absent_java_is_told_with_its_remedy(sdk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(sdk / "bin"))
    with pytest.raises(EmulatorAbsent, match="java is not installed; install a Java runtime"):
        FIRESTORE.command(1234)


def test_what_a_launcher_started_ends_with_it(sdk: Path) -> None:
    """gcloud runs an emulator as a child's child, and does not pass on that it is ended."""
    (sdk / "platform" / FIRESTORE.component).mkdir(parents=True)
    program(sdk / "bin" / "gcloud", f"sleep 600 & echo $! > {sdk / 'child'}; wait")
    process = Process(FIRESTORE.service(1234), sdk / "log")
    child = Path("/proc") / str(read_number(sdk / "child")) / "stat"
    process.kill()
    wait_until(lambda: not child.exists() or child.read_text().rpartition(")")[2].split()[0] in "ZX")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, 137), (signal.SIGTERM, 143)])
def test_a_program_s_end_is_its_process_s(number: int, code: int, sdk: Path) -> None:
    (sdk / "platform" / FIRESTORE.component).mkdir(parents=True)
    program(sdk / "bin" / "gcloud", f"echo $$ > {sdk / 'pid'}; exec sleep 600")
    process = Process(FIRESTORE.service(1234), sdk / "log")
    try:
        os.kill(read_number(sdk / "pid"), number)
        wait_until(lambda: process.exit_code is not None)
        assert process.exit_code == code
    finally:
        process.kill()


def read_number(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_serves_and_is_gone_afterwards() -> None:
    with firestore_emulator() as address:
        host, _, port = address.partition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
