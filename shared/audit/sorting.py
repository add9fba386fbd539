"""Sorts any number of lines in bounded memory: sorted runs in temporary files, then a merge.

External merge sort (Knuth, The Art of Computer Programming, volume 3, section 5.4).
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

LINES_IN_MEMORY = 200_000
"""About 50 MB of lines of 200 characters."""

_MERGED_AT_ONCE = 64
"""Runs that are open at the same time, well below any limit on open files."""


class SortedLines:
    """Collects lines of text without line breaks, then gives them in order. A context manager."""

    def __init__(self, *, reverse: bool = False, lines_in_memory: int = LINES_IN_MEMORY) -> None:
        """Writes nothing until more lines come than memory is to hold.

        Args:
            reverse: Give the greatest first.
            lines_in_memory: How many are sorted at once.
        """
        self._reverse = reverse
        self._most = lines_in_memory
        self._lines: list[str] = []
        self._runs: list[Path] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._written = 0

    def add(self, line: str) -> None:
        """Take one line."""
        self._lines.append(line)
        if len(self._lines) >= self._most:
            self._spill()

    def extend(self, lines: Iterable[str]) -> None:
        """Take many lines; they are all in memory until they are sorted."""
        self._lines.extend(lines)
        if len(self._lines) >= self._most:
            self._spill()

    def __iter__(self) -> Iterator[str]:
        """The lines in order; nothing may be added while they are read."""
        self._lines.sort(reverse=self._reverse)
        if not self._runs:
            return iter(self._lines)
        while len(self._runs) > _MERGED_AT_ONCE:
            oldest, self._runs = self._runs[:_MERGED_AT_ONCE], self._runs[_MERGED_AT_ONCE:]
            self._write(heapq.merge(*map(_read, oldest), reverse=self._reverse))
            for run in oldest:
                run.unlink()
        return heapq.merge(*map(_read, self._runs), self._lines, reverse=self._reverse)

    def __enter__(self) -> SortedLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lines = []
        if self._folder is not None:
            self._folder.cleanup()

    def _spill(self) -> None:
        self._lines.sort(reverse=self._reverse)
        self._write(self._lines)
        self._lines = []

    def _write(self, lines: Iterable[str]) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wardgate-sort-")
        run = Path(self._folder.name) / str(self._written)
        self._written += 1
        with run.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        self._runs.append(run)


def _read(run: Path) -> Iterator[str]:
    with run.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file:
            yield line[:-1]
