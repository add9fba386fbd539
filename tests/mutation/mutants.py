"""Plants one fault after another in a copy of the tree, and runs tests there until one of them fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("shared", "tests", "functions", "pyproject.toml")
_SECONDS = 300
"""A fault that makes the tests hang has been found, too."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: a piece of text that occurs once in a file, and what takes its place."""

    name: str
    file: str
    old: str
    new: str

    def plant(self, root: Path) -> None:
        """Put the fault into the tree at ``root``.

        Raises:
            LookupError: The text is not there, or more than once: the code has changed since.
        """
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise LookupError(f"{self.name}: {self.file} has its text {text.count(self.old)} times, not once.")
        path.write_text(text.replace(self.old, self.new))


def survivors(mutants: Sequence[Mutant], suites: Sequence[Sequence[str]], environment: dict[str, str]) -> list[str]:
    """Plant each fault, print which suite finds it, and return those that none finds.

    Args:
        mutants: The faults.
        suites: Arguments of pytest, run in order until a test fails.
        environment: Further environment variables of the tests.

    Raises:
        RuntimeError: A suite fails without any fault.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        _copy(tree)
        if found := _finder(tree, suites, environment):
            raise RuntimeError(f"{found.suite} fails without any fault:\n{found.said}")
        missed = []
        for mutant in mutants:
            original = (tree / mutant.file).read_text()
            mutant.plant(tree)
            started = time.monotonic()
            found = _finder(tree, suites, environment)
            (tree / mutant.file).write_text(original)
            print(f"{'found   ' if found else 'SURVIVED'} {time.monotonic() - started:4.0f} s  {mutant.name}"
                  f"{f'  ({found.suite})' if found else ''}", flush=True)  # fmt: skip
            if not found:
                missed.append(mutant.name)
    return missed


class _Found(NamedTuple):
    """A suite that failed."""

    suite: str
    said: str = ""
    """The end of what it printed."""


def _copy(tree: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, tree / name)


def _finder(tree: Path, suites: Sequence[Sequence[str]], environment: dict[str, str]) -> _Found | None:
    """The suite that fails in this tree; None where all pass."""
    for suite in suites:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--show-capture=no", *suite]
        try:
            ran = subprocess.run(
                command,
                cwd=tree,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree), **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _Found(f"{suite[0]}, which hangs")
        if ran.returncode not in (0, 1):
            raise RuntimeError(ran.stdout.decode(errors="replace")[-3000:])
        if ran.returncode:
            return _Found(Path(suite[0]).name, ran.stdout.decode(errors="replace")[-3000:])
    return None
