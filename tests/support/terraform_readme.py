"""Writes the tables of variables and outputs into each README of ``terraform/``: ``make terraform-docs``.

It reads what ``terraform fmt`` has laid out, and only that: a field of a block begins with two spaces, and
goes on for as long as lines are indented further or close a bracket.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.terraform import TERRAFORM

BEGIN, END = "<!-- tables: make terraform-docs -->", "<!-- end of tables -->"

_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.M | re.S)
_FIELD = re.compile(r"^  (\w+) += (.*(?:\n(?:    .*|  [\])}].*|))*)", re.M)


def folders() -> list[Path]:
    """The root module, its modules, and what else has variables, but no examples, which are read as they are."""
    found = {path.parent for path in TERRAFORM.rglob("variables.tf")}
    return sorted(path for path in found if not {"examples", ".terraform"} & set(path.parts))


def readme(folder: Path) -> str:
    """The README of a folder as it should be."""
    path = folder / "README.md"
    text = path.read_text() if path.exists() else _new(folder)
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the lines '{BEGIN}' and '{END}', between which the tables go.")
    return f"{before}{BEGIN}\n\n{_tables(folder)}\n{END}{after}"


def _new(folder: Path) -> str:
    """What the first lines of its files say."""
    files = [folder / "main.tf"] if (folder / "main.tf").exists() else sorted(folder.glob("*.tf"))
    begun = [path.read_text().partition("\n")[0] for path in files]
    about = "\n".join(line.removeprefix("# ") for line in begun if line.startswith("# "))
    return f"# {folder.name}\n\n{about}\n\n{BEGIN}\n{END}\n"


def _tables(folder: Path) -> str:
    return "\n".join(_lines(folder))


def _lines(folder: Path) -> Iterator[str]:
    yield from ("| variable | what | type | default |", "|---|---|---|---|")
    for name, fields in _blocks(folder / "variables.tf"):
        yield f"| `{name}` | {_text(fields)} | {_code(fields['type'])} | {_code(fields.get('default', ''))} |"
    outputs = list(_blocks(folder / "outputs.tf"))
    if outputs:
        yield from ("", "| output | what |", "|---|---|")
        yield from (f"| `{name}` | {_text(fields)} |" for name, fields in outputs)


def _blocks(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for _, name, body in _BLOCK.findall(path.read_text() if path.exists() else ""):
        yield name, dict(_FIELD.findall(body))


def _text(fields: dict[str, str]) -> str:
    return fields["description"].strip().strip('"').replace("|", "\\|")


def _code(value: str) -> str:
    without_comments = re.sub(r" +#.*", "", value.strip())
    one_line = re.sub(r"\s+", " ", re.sub(r"(?<=[^{\[(,])\n\s*(?=[^\s})\]])", ", ", without_comments))
    return f"`{one_line}`" if one_line else ""


def main() -> int:
    """Write all of them."""
    for folder in folders():
        (folder / "README.md").write_text(readme(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
