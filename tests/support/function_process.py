"""One function in a real functions-framework process on the loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 30


class FunctionProcess:
    """Runs ``functions/<name>/main.py`` as a context manager.

    Args:
        name: The function, which is also its target.
        home: ``WARDGATE_HOME``.
        env: Further environment variables.
        log: Where its output goes; None: beside its home's files.
    """

    def __init__(self, name: str, home: Path, env: Mapping[str, str] | None = None, *, log: Path | None = None) -> None:
        self._name = name
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("WARDGATE_", "UPSTREAM_"))},
            "WARDGATE_ENV": "development",
            "WARDGATE_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }
        self._log = log or home / f"{name}.log"
        self._log.unlink(missing_ok=True)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> FunctionProcess:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(self.port)]
        source = ROOT / "functions" / self._name / "main.py"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--target", self._name, "--source", str(source)],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(self.output)
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def kill(self) -> None:
        """End it and its workers as the kernel would, without a last word; entered again, it has the same address."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What it wrote to its output so far."""
        return self._log.read_text(errors="replace")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
