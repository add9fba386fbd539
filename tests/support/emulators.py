"""Google's Firestore emulator, started for the tests that need it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc

from shared.stores.documents import Write
from shared.stores.firestore_channel import FIRESTORE, headers
from shared.stores.firestore_wire import encode_commit
from shared.stores.google_channel import make_stubs, open_channel
from tests.support.tools import absent

_JAR = Path("platform") / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
_PACKAGED = Path("/usr/lib/google-cloud-sdk")
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_START_SECONDS = 90.0
_ATTEMPTS = 3


@contextmanager
def firestore_emulator() -> Iterator[str]:
    """Run the emulator on a free loopback port; the value is its ``host:port``.

    It keeps documents in memory and makes any project that is named, so a test takes one of its own.
    Skips, or fails in CI, where gcloud, its emulator or Java is not installed.
    """
    with tempfile.TemporaryFile() as log:
        for _ in range(_ATTEMPTS):
            address = f"127.0.0.1:{_free_port()}"
            command = _command(address)
            process = _start(command, log.fileno())
            try:
                if _answers(process, address):
                    yield address
                    return
            finally:
                _stop(process)
        log.seek(0)
        said = log.read()[-2000:].decode(errors="replace")
    if "gcloud" in Path(command[0]).name:  # which only now says what it lacks
        absent(f"the Firestore emulator, says gcloud: {said}")
    raise RuntimeError(f"the Firestore emulator did not start: {said}")


def _command(address: str) -> list[str]:
    """What starts the emulator on ``address``: Java on its jar, or gcloud where the jar lies elsewhere.

    Java by itself takes seconds less than gcloud's launcher.
    """
    gcloud, java = shutil.which("gcloud"), shutil.which("java")
    if java is None:
        absent("java")
    if gcloud is None:
        absent("the Firestore emulator (gcloud components install cloud-firestore-emulator)")
    jar = _jar(Path(gcloud))
    if jar is None:
        return [gcloud, "beta", "emulators", "firestore", "start", f"--host-port={address}"]
    host, _, port = address.partition(":")
    options = ["-Duser.language=en", "-XX:TieredStopAtLevel=1", "-cp", str(jar)]
    return [java, *options, _MAIN, "start", f"--host={host}", f"--port={port}"]


def _jar(gcloud: Path) -> Path | None:
    folders = [gcloud.resolve().parents[1], _PACKAGED]
    return next((folder / _JAR for folder in folders if (folder / _JAR).is_file()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(command: list[str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"},
    )


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    """Wait until it serves; False where it ended, as when another process took the port."""
    deadline = time.monotonic() + _START_SECONDS
    host, _, port = address.partition(":")
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection((host, int(port)), timeout=1.0):
                break
        except OSError:
            time.sleep(0.1)
    return process.poll() is None and _warm_up(address)


def _warm_up(address: str) -> bool:
    """Commit once: Java's first takes seconds, which is longer than the deadlines that tests set."""
    database = "projects/warm-up/databases/(default)"
    with open_channel(grpc, FIRESTORE, address) as channel:
        commit = make_stubs(channel, FIRESTORE, headers(database), address)["Commit"]
        try:
            commit(encode_commit(database, [Write("warm/up")]), timeout=_START_SECONDS, wait_for_ready=True)
        except grpc.RpcError:
            return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and what it has started: gcloud leaves the emulator behind otherwise."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
