"""The stores that contract suites run on, and processes that are killed while they use one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.clock import SystemClock
from shared.stores.file_secrets import FileSecrets
from shared.stores.secret_manager import SecretManagerSecrets
from shared.stores.secrets import SecretStore
from tests.support.rotation import MemorySecrets
from tests.support.secret_manager_server import secret_manager_server

PROJECT = "wardgate-test"

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def file_secrets(folder: Path) -> Iterator[SecretStore]:
    """Secrets in a folder."""
    yield FileSecrets(folder / "secrets")


@contextmanager
def memory_secrets(folder: Path) -> Iterator[SecretStore]:
    """The tests' own, whose time can be moved."""
    yield MemorySecrets(SystemClock())


@contextmanager
def secret_manager_secrets(folder: Path) -> Iterator[SecretStore]:
    """The official client against a server of the tests' own."""
    with secret_manager_server() as server, server.transport() as transport:
        yield SecretManagerSecrets(PROJECT, transport)


def start_worker(work: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a process that does one function of ``tests.support.store_workers``."""
    command = [sys.executable, "-m", "tests.support.store_workers", work, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT)


def in_processes(count: int, work: str, *arguments: object) -> None:
    """Do it in so many processes at once, each told its own number last, and see that each ends well."""
    running = [start_worker(work, *arguments, index) for index in range(count)]
    assert [process.wait() for process in running] == [0] * count


@contextmanager
def killed(work: str, *arguments: object) -> Iterator[None]:
    """Do it in a process while the block runs, then kill that as the kernel would: without a last word."""
    process = start_worker(work, *arguments)
    try:
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that another thread or process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)
