"""What commands share: a table for people or JSON with ``--json``, and what they refuse before they start."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError, Fault
from shared.settings import Settings

Commands = Any
"""argparse's collection of subcommands, whose type it keeps private."""

MAKES_SECRETS = "`wardgate rotate run`"
"""The command that makes a home with its secrets, as `make run` does."""


def add_json_option(parser: argparse.ArgumentParser, *, always: bool = False) -> None:
    """Give a command the option ``--json``, also one that ``always`` prints JSON: every command takes it."""
    told = "changes nothing: this is always JSON" if always else "print JSON instead of a table"
    parser.add_argument("--json", action="store_true", help=told)


def print_json(value: Any) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def print_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, empty: str) -> None:
    """Print rows in aligned columns, or the sentence ``empty`` where there are none."""
    if not rows:
        print(empty)
        return
    cells = [[column.upper().replace("_", " ") for column in columns]]
    cells += [["-" if row.get(column) is None else str(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def counted(count: int, noun: str) -> str:
    """``1 chain``, ``2 chains``: a number with a noun whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def when(nanoseconds: int | None) -> str | None:
    """A time in nanoseconds since the Unix epoch, as RFC 3339 to the second."""
    if nanoseconds is None:
        return None
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_number(text: str) -> int:
    """An option's number, 0 or more. For argparse's ``type``.

    Raises:
        argparse.ArgumentTypeError: The text is no such number.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError("give a whole number, 0 or more")
    return int(text)


def need_home(settings: Settings, *addresses: str) -> None:
    """Refuse a command that makes no home where its stores are in a local home that is not there.

    To connect a local store makes it: a look at the wrong folder would leave empty state behind.

    Raises:
        ConfigurationError: There is no such folder.
    """
    local = any(Path(address.partition("://")[2]).is_relative_to(settings.home) for address in addresses)
    if local and not settings.home.is_dir():
        problem = (
            f"there is no Wardgate home at {settings.home}; change to its folder or set the variable. "
            f"{MAKES_SECRETS} makes one."
        )
        raise ConfigurationError([Fault("WARDGATE_HOME", problem)])
