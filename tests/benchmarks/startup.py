"""How long a function takes to start: its imports, its first answer, its first chat."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.audit.record import CHAIN_OPEN, GENESIS, seal
from tests.benchmarks.client import Call, Connection, Refused, call
from tests.support.stack import free_ports

_ROOT = Path(__file__).resolve().parents[2]

_START_SECONDS = 60.0
_POLL_SECONDS = 0.005

_LOAD = """
import sys, time
import gunicorn.workers.gthread
from functions_framework import _cli, create_app
_, target, source, signature = sys.argv
started = time.perf_counter()
create_app(target, source, signature)
print(time.perf_counter() - started)
"""
"""Loads a function as the framework does, with everything that any function needs imported before."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the framework starts it."""

    name: str
    source: Path
    probe: Callable[[str], Call]
    """Makes a call that anybody may make and that is answered with 200, for the function's URL."""

    signature: str = "http"


def _health(url: str) -> Call:
    return call(f"{url}/healthz")


def _event(url: str) -> Call:
    """A sink has no other route than that for events."""
    opened = seal(
        CHAIN_OPEN,
        {},
        source="//wardgate/bench",
        time=time.time_ns(),
        chain_uid=uuid.uuid4().hex,
        seq=0,
        prev_event=GENESIS,
    )
    headers = {f"ce-{name}": value for name, value in opened.event.attributes().items() if name != "datacontenttype"}
    return call(f"{url}/", opened.event.data, headers)


HELLO = Function("hello", Path(__file__).with_name("hello") / "main.py", _health)
FORWARD = Function("forward", Path(__file__).with_name("forward") / "main.py", _health)

FUNCTIONS = (
    Function("guard", _ROOT / "functions/guard/main.py", _health),
    Function("model", _ROOT / "functions/model/main.py", _health),
    Function("audit_archive", _ROOT / "functions/audit_archive/main.py", _event, "cloudevent"),
    Function("audit_warehouse", _ROOT / "functions/audit_warehouse/main.py", _event, "cloudevent"),
    Function("audit_alerts", _ROOT / "functions/audit_alerts/main.py", _event, "cloudevent"),
    Function("audit_seal", _ROOT / "functions/audit_seal/main.py", _health),
    Function("rotate_secrets", _ROOT / "functions/rotate_secrets/main.py", _health),
)


@dataclass(frozen=True, slots=True)
class Start:
    """One start, in seconds."""

    imports: float
    """Loading the function, beyond what the framework itself imports."""

    first_200: float
    """From the start of the process to its first answer."""

    first_chat: float | None
    """From the start of the process to its first chat, asked for right after that; None where it serves none."""

    @staticmethod
    def median(starts: Sequence[Start]) -> Start:
        """The median of each figure."""
        chats = [each.first_chat for each in starts if each.first_chat is not None]
        return Start(
            statistics.median(each.imports for each in starts),
            statistics.median(each.first_200 for each in starts),
            statistics.median(chats) if chats else None,
        )


def start(function: Function, environment: Mapping[str, str], chat: Callable[[str], Call] | None) -> Start:
    """Start the function in processes of its own, which have ended when this returns.

    Args:
        function: What to start.
        environment: Set on top of this process's.
        chat: Makes a chat for the function at a URL; None where it serves none.

    Raises:
        Refused: It did not start, or answered with an error.
    """
    imports = _imports(function, environment)
    started = time.perf_counter()
    with running(function, environment) as url:
        first_200 = time.perf_counter() - started
        if chat is None:
            return Start(imports, first_200, None)
        with closing(Connection(chat(url))) as connection:
            connection.exchange()
        return Start(imports, first_200, time.perf_counter() - started)


@contextmanager
def running(function: Function, environment: Mapping[str, str], *, one_core: bool = False) -> Iterator[str]:
    """The function in a process of its own that has answered once; its URL.

    Args:
        function: What runs.
        environment: Set on top of this process's.
        one_core: Whether it keeps to one core, as guard does in the local stack.

    Raises:
        Refused: It did not start, or answered with an error.
    """
    port = free_ports(1)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(port)),
            *("--source", str(function.source), "--target", function.name, "--signature-type", function.signature),
        ],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        if one_core and hasattr(os, "sched_setaffinity"):
            with suppress(OSError):  # as in the local stack: some sandboxes refuse
                os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})  # before it has any other thread
        _wait_for_answer(process, function.probe(url))
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for_answer(process: subprocess.Popen[bytes], probe: Call) -> None:
    deadline = time.perf_counter() + _START_SECONDS
    while True:
        try:
            with closing(Connection(probe)) as connection:
                connection.exchange()
        except ConnectionRefusedError:
            if process.poll() is not None or time.perf_counter() > deadline:
                raise Refused(f"{probe.address} was never served") from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _imports(function: Function, environment: Mapping[str, str]) -> float:
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD, function.name, str(function.source), function.signature],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(loaded.stdout.split()[-1])
