"""Google's emulators, started for the tests that need them as `make run EMULATORS=1` starts them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from shared.local.emulators import FIRESTORE, PUBSUB, Emulator, EmulatorAbsent, free_ports
from shared.local.processes import HOST, Process
from tests.support.tools import absent

_START_SECONDS = 180.0
_ATTEMPTS = 3


@contextmanager
def firestore_emulator() -> Iterator[str]:
    """Run the emulator on a free loopback port; the value is its ``host:port``.

    It keeps documents in memory and makes any project that is named, so a test takes one of its own.
    Skips, or fails in CI, where gcloud, its emulator or Java is not installed.
    """
    with _running(FIRESTORE) as address:
        yield address


@contextmanager
def pubsub_emulator() -> Iterator[str]:
    """Likewise Pub/Sub's."""
    with _running(PUBSUB) as address:
        yield address


@contextmanager
def _running(emulator: Emulator) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "emulator.log"
        for _ in range(_ATTEMPTS):
            (port,) = free_ports(1)
            try:
                process = Process(emulator.service(port), log)
            except EmulatorAbsent as error:
                absent(error.what)
            try:
                if _answers(process) and _is_warm(emulator, f"{HOST}:{port}"):
                    yield f"{HOST}:{port}"
                    return
            finally:
                _stop(process)
        raise RuntimeError(f"the {emulator.title} emulator did not start: {process.tail()}")


def _answers(process: Process) -> bool:
    """Wait until it serves; False where it ended, as when another process took the port."""
    deadline = time.monotonic() + _START_SECONDS
    while process.exit_code is None and time.monotonic() < deadline:
        if process.serves():
            return process.exit_code is None
        time.sleep(0.1)
    return False


def _stop(process: Process) -> None:
    """Asked first, since a killed process can be gone a little before its program is."""
    process.terminate()
    deadline = time.monotonic() + 10
    while process.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()


def _is_warm(emulator: Emulator, address: str) -> bool:
    try:
        emulator.warm_up(address)
    except grpc.RpcError:
        return False
    return True


def need_emulators() -> None:
    """Skip the running test, or in CI fail it, where an emulator is not installed."""
    try:
        for emulator in (FIRESTORE, PUBSUB):
            emulator.command(1)
    except EmulatorAbsent as error:
        absent(error.what)
