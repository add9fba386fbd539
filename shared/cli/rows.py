"""Reads files of ``{"id", "text"}`` lines, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from shared.cli.progress import Bar
from shared.errors import BadRequest
from shared.web.request import decode_json

_DEPTH = 8


class Row(msgspec.Struct):
    """One line of a JSONL file."""

    text: str
    id: str | int | None = None


def read_rows(file: Path) -> Iterator[Row]:
    """The rows of a file, or of standard input where it is called ``-``; empty lines are left out.

    Raises:
        BadRequest: While iterating: the file cannot be read, or a line is no such row.
    """
    try:
        lines = sys.stdin if str(file) == "-" else file.open(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None
    bar = Bar("texts read")
    size, done = _size(lines), 0
    try:
        with lines:
            for number, line in enumerate(lines, start=1):
                data = line.encode("utf-8", "surrogateescape")
                done += len(data)
                bar.show(number, done, size)
                if line.strip():
                    yield _row(data, file, number)
    finally:
        bar.clear()


def _row(data: bytes, file: Path, number: int) -> Row:
    try:
        return decode_json(data, Row, depth=_DEPTH)
    except BadRequest as error:
        where = f" ({error.param})" if error.param else ""
        raise BadRequest(f"{file}, line {number}: {error.message}{where}") from None


def _size(lines: TextIO) -> int:
    """In bytes; 0 where it is no file."""
    try:
        return Path(lines.name).stat().st_size
    except OSError:
        return 0
