"""The model function as a real process of functions-framework, with guard's identity to call it by."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import yaml

from shared.identity.local_issuer import create_local_issuer
from shared.identity.service import IdentityTokens, connect_identity

GUARD = "guard@wardgate.local"
ROOT = Path(__file__).parents[2]
_START_SECONDS = 90


class ModelFunction:
    """Runs while it is entered."""

    def __init__(self, folder: Path, policy: dict[str, Any] | None = None, **environment: str) -> None:
        """
        Args:
            folder: Holds its state, its policy and its log.
            policy: The policy, if not the one that ships.
            environment: More environment variables.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "model.log"
        self._home = folder / "home"
        self._home.mkdir(mode=0o700)
        self._identity = f"local://{self._home / 'identity'}"
        create_local_issuer(self._home / "identity")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WARDGATE_", "UPSTREAM_"))},
            "WARDGATE_ENV": "development",
            "WARDGATE_HOME": str(self._home),
            "WARDGATE_MODEL_URL": self.url,
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        if policy is not None:
            path = folder / "policy.yaml"
            path.write_text(yaml.safe_dump(policy))
            self._environment["WARDGATE_POLICY"] = str(path)

    def tokens(self, service_account: str = GUARD) -> IdentityTokens:
        """The identity of a caller."""
        return connect_identity(self._identity, service_account)

    def log_lines(self) -> list[dict[str, Any]]:
        """What the function has logged so far."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def log(self) -> str:
        """Everything it has written so far."""
        return self._log.read_text()

    def wait_for_log(self, count: int, event: str = "request.answered") -> list[dict[str, Any]]:
        """The lines of one kind, once there are so many."""
        deadline = time.monotonic() + 60
        while len(lines := [line for line in self.log_lines() if line["event"] == event]) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"only {len(lines)} of {count} lines: {self.log()}")
            time.sleep(0.02)
        return lines

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "functions_framework", "--target", "model"),
                    *("--source", str(ROOT / "functions/model/main.py")),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                ],
                env=self._environment,
                cwd=self._home,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(f"the model function did not start: {self.log()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
