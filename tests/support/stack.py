"""A local stack for tests: the very processes of ``make run``, on ports and in a home of their own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

PORTS = 8
"""Ports in a row that a stack may take."""

START_SECONDS = 90


class LocalStack:
    """``make run`` as a context manager.

    Args:
        home: ``WARDGATE_HOME``; made where it is missing, and kept.
        policy: ``WARDGATE_POLICY``.
        env: Further environment variables.
        arguments: Further arguments of ``python -m shared.local``.
    """

    def __init__(
        self,
        home: Path,
        *,
        policy: Path | None = None,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WARDGATE_", "UPSTREAM_"))},
            "WARDGATE_HOME": str(home),
            **({"WARDGATE_POLICY": str(policy)} if policy else {}),
            **(env or {}),
        }
        self.arguments = arguments
        self.start_seconds = START_SECONDS
        self.port = 0
        self.key = ""
        """The ready API key, once started."""

        self._supervisor: subprocess.Popen[bytes] | None = None
        self._output = home.with_name(f"{home.name}.{secrets.token_hex(4)}.output")

    # --- life ---------------------------------------------------------------------------------

    def __enter__(self) -> LocalStack:
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            self.wait_until_ready()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, port: int | None = None) -> None:
        """Start the supervisor and return at once."""
        self.port = port or free_ports()
        with self._output.open("wb") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "shared.local", "--port", str(self.port), *self.arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait for the line ``ready``; an AssertionError with the output where it does not come."""
        deadline = time.monotonic() + self.start_seconds
        while "ready" not in self.output.splitlines():
            assert self.supervisor.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        self.key = (self.home / "dev-key").read_text().strip()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the supervisor a signal where it still runs, and wait; its exit code."""
        if self.supervisor.poll() is None:
            self.supervisor.send_signal(number)
        try:
            return self.supervisor.wait(30)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()
            raise

    def restart(self) -> None:
        """Stop, and start again with the same home on the same ports."""
        self.stop()
        self.start(self.port)
        self.wait_until_ready()

    # --- use ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Address of guard."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def model_url(self) -> str:
        """Address of the model function."""
        return f"http://127.0.0.1:{self.port + 1}"

    def wardgate(self, *arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command ``wardgate`` on this stack's home."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("wardgate")), *arguments],
            env={**self.environment, "WARDGATE_ENV": "development"},
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def new_key(self, *arguments: str) -> str:
        """A fresh API key; arguments go to ``wardgate keys create``."""
        made = self.wardgate("keys", "create", "--json", *arguments)
        assert made.returncode == 0, made.stderr
        return str(json.loads(made.stdout)["key"])

    # --- what it left behind --------------------------------------------------------------------

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        """The process that ``make run`` starts."""
        assert self._supervisor is not None, "not started"
        return self._supervisor

    @property
    def output(self) -> str:
        """What the supervisor has printed since its last start."""
        return self._output.read_text()

    def log(self, name: str) -> str:
        """The log of one function, such as ``guard``."""
        return (self.home / "logs" / f"{name}.log").read_text()

    def processes(self) -> list[int]:
        """Every process that was started with this home, by its environment, whoever its parent is now."""
        mark = f"WARDGATE_HOME={self.home}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                if alive and mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # gone meanwhile, or somebody else's
        return sorted(found)

    def worker(self, name: str) -> int:
        """The process that answers for a function, whose parent would start another in its place."""
        arguments = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in self.processes()}
        masters = [pid for pid, given in arguments.items() if name.encode() in given]
        stats = {pid: Path(f"/proc/{pid}/stat").read_text() for pid in masters}
        (worker,) = (pid for pid, stat in stats.items() if int(stat.rpartition(")")[2].split()[1]) in masters)
        return worker

    def open_ports(self) -> list[int]:
        """Those of its ports that somebody listens on."""
        return [port for port in range(self.port, self.port + PORTS) if _is_open(port)]


def free_ports(count: int = PORTS) -> int:
    """The first of ``count`` free ports in a row, below those that systems hand out by themselves."""
    for _ in range(200):
        first = 12_000 + secrets.randbelow(18_000)
        if not any(_is_taken(port) for port in range(first, first + count)):
            return first
    raise AssertionError("no free ports")


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
