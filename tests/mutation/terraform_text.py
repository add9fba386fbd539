"""Mutants of the configuration's text: each argument is renamed, dropped or weakened, each nested block dropped.

Each is planned anew, which takes seconds.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.terraform_plan import WEAKER, broken_rule
from tests.support.terraform import ROOT, TERRAFORM, TerraformFailed, initialise, run_tests
from tests.terraform.rules import text

_UNSEEN = {
    *("description", "display_name", "title", "friendly_name"),  # for people
    "content_type",  # of a zip that Cloud Functions alone reads
    "project",  # the provider's own, wherever it is left out
    "condition",  # of a variable: each has a run block that is refused
}
"""Arguments whose loss changes nothing that could be wrong."""

_LEFT_OUT = {"examples", ".terraform", "bootstrap", "variables", "outputs", "versions"}

_ARGUMENT = re.compile(r"^( +)(\w+) += (.+)$")
_NESTED = re.compile(r"^( +)(?:dynamic \"(\w+)\"|(\w+)) \{")
_OPENING = re.compile(r'^(resource|module|data) "(\w+)"(?: "(\w+)")? \{')
_NUMBER = re.compile(r'^("?)(\d+)(s?"?)(?= *(?:#.*)?$)')


@dataclass(frozen=True, slots=True)
class Mutant:
    """Lines of a file, and what takes their place."""

    file: str
    first: int
    last: int
    new: tuple[str, ...]
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind:8} {self.file}:{self.first + 1}  {self.what}"


def mutants() -> Iterator[Mutant]:
    """Every mutant of the configuration."""
    for path in sorted(TERRAFORM.rglob("*.tf")):
        inside = path.relative_to(TERRAFORM)
        if not _LEFT_OUT & {*inside.parts, path.stem}:
            yield from _of_file(str(inside), path.read_text().splitlines())


def _of_file(file: str, lines: list[str]) -> Iterator[Mutant]:
    number = 0
    while number < len(lines):
        opening = _OPENING.match(lines[number])
        if opening:
            last = _end(lines, number)
            name = f"{opening[2]}.{opening[3]}" if opening[3] else f"module.{opening[2]}"
            if opening[2].endswith("_iam_member"):
                yield Mutant(file, number, last, (), "drop", name)
            yield from _of_block(file, lines, number + 1, last, name)
            number = last
        number += 1


def _of_block(file: str, lines: list[str], first: int, last: int, name: str) -> Iterator[Mutant]:
    for number in range(first, last):
        line = lines[number]
        if argument := _ARGUMENT.match(line):
            yield from _of_argument(file, lines, number, argument, name)
        elif nested := _NESTED.match(line):
            block = nested[2] or nested[3]
            if block not in ("lifecycle", "content", "provisioner"):
                yield Mutant(file, number, _end(lines, number), (), "drop", f"{name}: {block} {{}}")


def _of_argument(file: str, lines: list[str], number: int, argument: re.Match[str], name: str) -> Iterator[Mutant]:
    indent, field, value = argument.groups()
    if field in _UNSEEN or (len(indent) > 2 and indent.count(" ") % 2):
        return
    last, what = _end(lines, number), f"{name}: {field}"
    if field not in ("for_each", "count", "source"):
        yield Mutant(file, number, last, (f"{indent}{field}_ = {value}", *lines[number + 1 : last + 1]), "rename", what)
        yield Mutant(file, number, last, (), "drop", what)
    for weaker in _weaker(value):
        yield Mutant(file, number, last, (f"{indent}{field} = {weaker}",), "weaken", f"{what} = {weaker}")


def _weaker(value: str) -> Iterator[str]:
    plain = re.sub(r" +#.*$", "", value)
    if plain in ("true", "false"):
        yield "false" if plain == "true" else "true"
    if match := _NUMBER.match(plain):
        yield f"{match[1]}{max(1, int(match[2]) // 10)}{match[3]}"
    if plain.strip('"') in WEAKER:
        yield f'"{WEAKER[plain.strip(chr(34))]}"'


def _end(lines: list[str], first: int) -> int:
    """The line on which what begins on a line ends, by its brackets."""
    depth = 0
    for number in range(first, len(lines)):
        code = re.sub(r'"(?:[^"\\]|\\.)*"|#.*', "", lines[number])
        depth += sum(code.count(bracket) for bracket in "{[(") - sum(code.count(bracket) for bracket in "}])")
        if depth <= 0:
            return number
    raise ValueError(f"line {first + 1} does not end")


def try_all(chosen: list[Mutant]) -> Iterator[tuple[Mutant, str]]:
    """Each mutant, and who notices it; empty: nobody.

    Raises:
        TerraformFailed: Something is noticed without any fault.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        for name in ("terraform", "functions", "shared", "docs"):
            shutil.copytree(ROOT / name, Path(place) / name, ignore=shutil.ignore_patterns("__pycache__", ".terraform"))
        folder = Path(place) / "terraform"
        initialise(folder)
        if found := _noticed(folder):
            raise TerraformFailed(f"without any fault {found} notices something")
        for mutant in chosen:
            yield mutant, _try(folder, mutant)


def _try(folder: Path, mutant: Mutant) -> str:
    path = folder / mutant.file
    original = path.read_text()
    lines = original.splitlines()
    lines[mutant.first : mutant.last + 1] = mutant.new
    path.write_text("\n".join(lines) + "\n")
    try:
        return _noticed(folder)
    finally:
        path.write_text(original)


def _noticed(folder: Path) -> str:
    """Who notices a fault in the configuration at a folder."""
    try:
        runs = run_tests("tests/examples.tftest.hcl", "tests/monitoring.tftest.hcl", folder=folder)
    except TerraformFailed:
        return "terraform"
    if any(run.status != "pass" for run in runs):
        return "terraform"
    fault = next(text.faults(folder), None)
    plans = [run.plan for run in runs if run.plan is not None and "refuse" not in run.name]
    return "text" if fault else broken_rule(plans)
