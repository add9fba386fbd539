"""Faults of the Terraform configuration: run with ``make mutate-terraform``. What nothing notices is printed last.

Mutants are made from the configuration itself: each argument is renamed, dropped or weakened, each nested block and
each grant dropped, one at a time. What notices: Terraform itself, the rules on the examples' plans, and, for what is
left, all of Terraform's tests.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.terraform import ROOT, TERRAFORM, TerraformFailed, initialise, run_tests
from tests.terraform.rules import RULES, text

_UNSEEN = {
    *("description", "display_name", "title", "friendly_name"),  # for people
    "content_type",  # of a zip that Cloud Functions alone reads
    "project",  # the provider's own, wherever it is left out
    "condition",  # of a variable: each has a run block that is refused
}
"""Arguments whose loss changes nothing that could be wrong."""

_LEFT_OUT = {"examples", ".terraform", "bootstrap", "variables", "outputs", "versions"}

_WEAKER = {
    '"enforced"': '"inherited"',
    '"RESTRICTED"': '"COMPATIBLE"',
    '"TLS_1_2"': '"TLS_1_0"',
    '"INHERITED"': '"DISABLED"',
    '"ENABLED"': '"DISABLED"',
    '"deny(403)"': '"allow"',
    '"rate_based_ban"': '"throttle"',
    '"MEDIUM_AND_ABOVE"': '"HIGH"',
    '"POINT_IN_TIME_RECOVERY_ENABLED"': '"POINT_IN_TIME_RECOVERY_DISABLED"',
    '"DATA_READ"': '"ADMIN_READ"',
    '"roles/storage.objectCreator"': '"roles/storage.objectUser"',
    '"roles/storage.objectViewer"': '"roles/storage.objectUser"',
    '"roles/secretmanager.viewer"': '"roles/secretmanager.secretAccessor"',
    '"roles/secretmanager.secretAccessor"': '"roles/secretmanager.admin"',
    '"roles/datastore.viewer"': '"roles/datastore.user"',
    '"roles/run.invoker"': '"roles/run.developer"',
    '"roles/pubsub.publisher"': '"roles/pubsub.editor"',
    '"roles/bigquery.dataEditor"': '"roles/bigquery.dataOwner"',
    '"roles/cloudkms.signerVerifier"': '"roles/cloudkms.signer"',
    '"private"': '"public"',
    '"EGRESS"': '"INGRESS"',
}

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
    if plain in _WEAKER:
        yield _WEAKER[plain]


def _end(lines: list[str], first: int) -> int:
    """The line on which what begins on a line ends, by its brackets."""
    depth = 0
    for number in range(first, len(lines)):
        code = re.sub(r'"(?:[^"\\]|\\.)*"|#.*', "", lines[number])
        depth += sum(code.count(bracket) for bracket in "{[(") - sum(code.count(bracket) for bracket in "}])")
        if depth <= 0:
            return number
    raise ValueError(f"line {first + 1} does not end")


def noticed(folder: Path, *files: str) -> str:
    """Who notices a fault in the configuration at a folder; empty: nobody."""
    try:
        runs = run_tests(*files, folder=folder)
    except TerraformFailed:
        return "terraform"
    if failed := next((run.name for run in runs if run.status != "pass"), None):
        return f"terraform: {failed}"
    plans = [run.plan for run in runs if run.plan is not None and "refuse" not in run.name]
    for rule in RULES:
        try:
            if any(True for plan in plans for _ in rule(plan)):
                return f"rule: {rule.__name__}"
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):  # what it reads is gone
            return f"rule: {rule.__name__}"
    return f"text: {fault}" if (fault := next(text.faults(folder), None)) else ""


def main() -> int:
    """Plant the faults; exit code 1 where one survives that is not excused by the aim."""
    parser = argparse.ArgumentParser(description="Break the Terraform configuration, one place at a time.")
    parser.add_argument("--sample", type=int, default=40, help="how many mutants to try (default: 40)")
    parser.add_argument("--all", action="store_true", help="try all of them")
    parser.add_argument("--seed", type=int, default=0, help="which sample (default: 0)")
    parser.add_argument("--only", default="", help="only those whose description holds this text")
    parser.add_argument("--part", default="1/1", help="the n-th of m parts, as in 2/3")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    chosen = [mutant for mutant in mutants() if options.only in str(mutant)]
    known = len(chosen)
    if not options.all and not options.only:
        chosen = random.Random(options.seed).sample(chosen, min(options.sample, known))
    chosen = chosen[part - 1 :: parts]
    survived, by = [], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        for name in ("terraform", "functions", "shared", "docs"):
            shutil.copytree(ROOT / name, Path(place) / name, ignore=shutil.ignore_patterns("__pycache__", ".terraform"))
        folder = Path(place) / "terraform"
        initialise(folder)
        if found := noticed(folder, "tests/examples.tftest.hcl"):
            print(f"something is noticed without any fault: {found}", file=sys.stderr)
            return 2
        for mutant in chosen:
            started = time.monotonic()
            found = _try(folder, mutant)
            by[found.partition(":")[0] or "nobody"] += 1
            if not found:
                survived.append(mutant)
            print(
                f"{'found   ' if found else 'SURVIVED'} {time.monotonic() - started:4.1f} s  {mutant}  ({found})",
                flush=True,
            )
    share = 1 - len(survived) / len(chosen) if chosen else 1.0
    finders = ", ".join(f"{who} {count}" for who, count in by.most_common())
    print(f"\n{len(chosen)} of {known} mutants, {share:.1%} found; by {finders}")
    for mutant in survived:
        print(f"survived: {mutant}")
    return 0 if share >= 0.95 else 1


def _try(folder: Path, mutant: Mutant) -> str:
    path = folder / mutant.file
    original = path.read_text()
    lines = original.splitlines()
    lines[mutant.first : mutant.last + 1] = mutant.new
    path.write_text("\n".join(lines) + "\n")
    try:
        return noticed(folder, "tests/examples.tftest.hcl") or noticed(folder)
    finally:
        path.write_text(original)


if __name__ == "__main__":
    sys.exit(main())
