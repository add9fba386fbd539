"""The supervisor: starts every process of the stack, watches them, and ends them all, whatever happens."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from shared.errors import ConfigurationError, Fault
from shared.local.processes import HOST, Process, Service

READY_SECONDS = 60.0
"""Longest wait for every service to answer; on a busy machine or a cold disk it takes a while."""

GRACE_SECONDS = 5.0
"""What a service gets to finish its requests before it is killed."""

IMPATIENCE_SECONDS = 0.5
"""A second signal later than this is a person's wish to end at once; sooner, it is the first one's echo:
a signal to the whole process group reaches the supervisor once itself and once through make."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackFailed(Exception):
    """A process of the stack ended by itself or never answered. The message is for the terminal."""


class Stopped(Exception):
    """Somebody asked the stack to stop."""


class Signals:
    """Signals as bytes in a pipe, so that one is handled only where the supervisor waits for it.

    The interpreter writes the byte in whichever thread the kernel has chosen; a handler in Python runs in
    the main thread alone, which sleeps on if the signal woke another.
    """

    def __init__(self) -> None:
        self._arrived, self._arriving = os.pipe()
        for end in (self._arrived, self._arriving):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._arriving, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            # Under nohup a terminal that closes is not to matter.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _nothing_more)

    def wake(self) -> None:
        """End the current or next ``wait``. May be called in any thread."""
        os.write(self._arriving, b"\0")

    def wait(self, timeout: float | None = None) -> None:
        """Sleep until a child ends, ``wake`` is called, or ``timeout`` seconds have passed.

        Raises:
            Stopped: A signal to stop arrived, now or since the last call.
        """
        if select.select([self._arrived], [], [], timeout)[0] and set(STOP_SIGNALS) & set(os.read(self._arrived, 4096)):
            raise Stopped


def _nothing_more(number: int, frame: FrameType | None) -> None:
    """The byte in the pipe says it all."""


def check_ports(services: Sequence[Service]) -> None:
    """See that nobody listens on the ports yet.

    Raises:
        ConfigurationError: With a fault for each port that is taken.
    """
    first = services[0].port
    if not 1 <= first <= 65_536 - len(services):
        raise ConfigurationError([Fault("PORT", f"{first} is not the first of {len(services)} ports in a row.")])
    faults = [
        Fault(
            f"port {service.port}",
            f"is needed by {service.name} but taken; give the first of {len(services)} free ports in a row, "
            f"as in `make run PORT={first + 1000}`.",
        )
        for service in services
        if not _is_free(service.port)
    ]
    if faults:
        raise ConfigurationError(faults)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: ports that merely wait for late packets of old connections count as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


class Stack:
    """The processes of one run. ``stop`` must follow ``start``, also where ``start`` fails."""

    def __init__(self, logs: Path, signals: Signals) -> None:
        self._logs = logs
        self._signals = signals
        self.processes: list[Process] = []

    def start(self, services: Sequence[Service], within: float = READY_SECONDS) -> None:
        """Start these at once, beside those that run, and wait until each of them answers.

        Args:
            services: What to start.
            within: Longest wait, in seconds.

        Raises:
            StackFailed: One ended or did not answer.
            Stopped: Somebody asked to stop meanwhile.
        """
        self._logs.mkdir(exist_ok=True)
        for service in services:
            self.processes.append(Process(service, self._logs / f"{service.name}.log"))
        waiting = self.processes[-len(services) :]
        deadline = time.monotonic() + within
        while waiting := [process for process in waiting if not process.serves()]:
            self.check()
            if time.monotonic() > deadline:
                names = ", ".join(process.service.name for process in waiting)
                raise StackFailed(f"no answer after {within:.0f} s from {names}; see {self._logs}")
            self._signals.wait(0.05)

    def check(self) -> None:
        """See that every process still runs.

        Raises:
            StackFailed: One has ended; says which, how, and the end of its log.
        """
        for process in self.processes:
            if (code := process.exit_code) is not None:
                how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
                tail = "".join(f"\n  {line}" for line in process.tail())
                raise StackFailed(f"{process.service.name} ended with {how}; the end of {process.log}:{tail}")

    def stop(self, processes: Sequence[Process]) -> None:
        """End some processes: ask, wait a while, then kill. A second signal kills at once."""
        for process in processes:
            process.terminate()
        asked = time.monotonic()
        while any(process.exit_code is None for process in processes) and time.monotonic() < asked + GRACE_SECONDS:
            try:
                self._signals.wait(0.1)
            except Stopped:
                if time.monotonic() > asked + IMPATIENCE_SECONDS:
                    break
        for process in processes:
            process.kill()
