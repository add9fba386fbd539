"""A home belongs to one stack at a time, which may say there where commands find its stores."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ConfigurationError, Fault
from shared.stores.files import require_private_folder

STORES_FILE = "stores.env"
"""What a shell sources so that programs find the stores of the stack that runs, where those are not in its home."""

_LOCK = "stack.lock"
_EXPORT = "export "


@contextmanager
def only_stack_of(home: Path) -> Iterator[None]:
    """Hold the home for one stack, so that no two deliver the same events or share a log.

    Raises:
        ConfigurationError: Another stack has it, or the folder cannot be used.
    """
    require_private_folder(home, "WARDGATE_HOME")
    # The lock ends with this process, however it dies; children do not inherit the descriptor.
    with (home / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"another stack runs on {home}; end it, or name another folder here."
            raise ConfigurationError([Fault("WARDGATE_HOME", problem)]) from None
        (home / STORES_FILE).unlink(missing_ok=True)  # a stack that was killed has left it
        yield


@contextmanager
def tell_stores(home: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Have ``stores_of_running_stack`` return the variables meanwhile.

    Args:
        home: Of the stack that runs, which holds it.
        variables: By name; values that a shell takes as they are.
    """
    file = home / STORES_FILE
    written = file.with_suffix(".new")
    written.write_text("".join(f"{_EXPORT}{name}={value}\n" for name, value in variables.items()))
    written.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def stores_of_running_stack(home: Path) -> dict[str, str]:
    """The variables that name the stores of the stack which runs on this home, where they are not in it."""
    try:
        lines = (home / STORES_FILE).read_text().splitlines()
        with (home / _LOCK).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pairs = (line.removeprefix(_EXPORT).partition("=") for line in lines)
                return {name: value for name, _, value in pairs}
    except OSError:  # no such stack, or not ours
        return {}
    return {}  # it was killed: nobody holds the home
