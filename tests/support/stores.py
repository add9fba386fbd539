"""The stores that contract suites run on, and processes that are killed while they use one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.stores.file_secrets import FileSecrets
from shared.stores.secret_manager import SecretManagerSecrets
from shared.stores.secrets import SecretStore
from tests.support.secret_manager_server import secret_manager_server

PROJECT = "wardgate-test"

_processes = multiprocessing.get_context("spawn")
"""Spawned, since the tests' own process has threads, of gRPC for one, which a fork would break."""


@contextmanager
def file_secrets(folder: Path) -> Iterator[SecretStore]:
    """Secrets in a folder."""
    yield FileSecrets(folder / "secrets")


@contextmanager
def secret_manager_secrets(folder: Path) -> Iterator[SecretStore]:
    """The official client against a server of the tests' own."""
    with secret_manager_server() as server, server.transport() as transport:
        yield SecretManagerSecrets(PROJECT, transport)


def in_processes(count: int, work: Callable[..., None], *arguments: object) -> None:
    """Run ``work`` in so many processes at once and see that each ends well."""
    running = [_processes.Process(target=work, args=(*arguments, index)) for index in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0


@contextmanager
def killed(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    """Run ``work`` in a process while the block runs, then kill it as the kernel would: without a last word."""
    process = _processes.Process(target=work, args=arguments)
    process.start()
    try:
        yield
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that another thread or process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
