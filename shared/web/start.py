"""How every function starts: settings and policy read once, faults shown one a line, no traceback."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar

from msgspec import Struct

from shared.errors import ConfigurationError
from shared.policy import Policy, load_policy
from shared.settings import Settings, load_settings

T = TypeVar("T")


class Start(Struct, frozen=True):
    """What a function knows when it starts."""

    settings: Settings
    policy: Policy


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Make something with the first request and keep it for the life of the process.

    Other than with ``functools.cache``, the first requests of several threads share one: a second gateway
    would be a second audit chain.
    """
    lock = threading.Lock()
    made: list[T] = []

    @functools.wraps(make)
    def get() -> T:
        if not made:
            with lock:
                if not made:
                    made.append(make())
        return made[0]

    return get


def start(needs: Collection[str]) -> Start:
    """Read settings and policy; a fault in them ends the process with exit code 2 and a line for each.

    Args:
        needs: The fields of ``Settings`` that the function cannot do without.
    """
    with faults_end_the_start():
        settings = load_settings(needs)
        return Start(settings, load_policy(settings.policy))


@contextmanager
def faults_end_the_start() -> Iterator[None]:
    """Turn a ``ConfigurationError`` into a line for each fault and exit code 2.

    Raises:
        SystemExit: There was a fault.
    """
    try:
        yield
    except ConfigurationError as error:
        for fault in error.faults:
            print(f"wardgate: {fault}", file=sys.stderr)  # noqa: T201  # before any log reader is attached
        raise SystemExit(2) from None
