"""The processes of the stack: what each one runs, and starting, watching and ending it."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the stack, as it is to run."""

    name: str
    port: int
    module: str
    """What ``python -m`` runs."""

    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Set on top of the supervisor's own. May hold keys, which an argument list would show to every user."""

    niceness: int = 0
    one_core: bool = False
    """Whether it keeps to one core. Threads that share Python's lock lose on several: each time that one lets go of the
    lock, another wakes up for it on another core, mostly in vain."""

    sink: bool = False
    """Whether events are delivered to it; a sink ends after the others, so that it gets their last events."""

    probe: str = "/healthz"
    """Path that answers, with anything but a 5xx, once the process serves."""


class Process:
    """A running service, leader of its own process group."""

    def __init__(self, service: Service, log: Path) -> None:
        """Start it; its output goes to ``log``, and the log of the time before is kept beside it."""
        self.service = service
        self.log = log
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603  # our own modules
                [
                    *(sys.executable, "-m", "shared.local.child", str(service.niceness), _core(service)),
                    *(service.module, *service.arguments),
                ],
                env={**os.environ, **service.environment},
                stdin=subprocess.PIPE,  # the lifeline, see shared.local.child
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the supervisor alone, which ends the others in order. No session of their own:
                # Linux schedules each session as a whole, and niceness would count only within it.
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Process id, and id of its group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal's number; None while it runs."""
        return self._popen.poll()

    def serves(self) -> bool:
        """Whether it serves by now."""
        connection = http.client.HTTPConnection(HOST, self.service.port, timeout=2)
        try:
            connection.request("GET", self.service.probe)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask it to end; requests under way are still answered."""
        if self._popen.poll() is None:
            self._popen.terminate()

    def kill(self) -> None:
        """End it and whatever is left of its group at once, and reap it."""
        # Nothing left of it: Linux knows no such group then, macOS permits no signal to one of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        if self._popen.stdin:
            self._popen.stdin.close()

    def tail(self, lines: int = 20) -> list[str]:
        """The last lines of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
            return log.read().decode("utf-8", "replace").splitlines()[-lines:]


def _core(service: Service) -> str:
    """For ``shared.local.child``: some core, so that stacks side by side do not all meet on one."""
    if not service.one_core or not hasattr(os, "sched_getaffinity"):  # which only Linux has
        return "any"
    try:
        cores = sorted(os.sched_getaffinity(0))
    except OSError:  # some sandboxes refuse
        return "any"
    return str(random.choice(cores)) if len(cores) > 1 else "any"  # noqa: S311  # spreads load, keeps no secret
