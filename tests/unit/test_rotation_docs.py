"""docs/rotation.md tells what the code does: its states, its log events, and tests that exist for each cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from shared.rotation.record import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rotation.md").read_text()
TABLE = PAGE.partition("## What can go wrong when")[2].partition("\n## ")[0]
ROWS = {row.split("|")[1].strip(" `"): row.split("|")[2:-1] for row in TABLE.splitlines() if row.startswith("| `")}
TESTS = {
    name
    for folder in ("unit", "property", "faults", "e2e", "contract")
    for file in (ROOT / "tests" / folder).glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE)
}


def test_every_state_is_described_and_has_its_row() -> None:
    assert list(ROWS) == list(get_args(State))
    described = PAGE.partition("## States")[2].partition("\n## ")[0]
    assert all(f"| `{state}` |" in described for state in get_args(State))


@pytest.mark.parametrize("state", get_args(State))
def test_every_cell_names_tests_that_exist(state: str) -> None:
    assert len(ROWS[state]) == 4
    for cell in ROWS[state]:
        named = re.findall(r"`(test_\w+)`", cell)
        assert named or cell.strip() == "not asked"
        assert set(named) <= TESTS


def test_every_event_that_is_told_is_written() -> None:
    source = "".join(file.read_text() for file in (ROOT / "shared" / "rotation").glob("*.py"))
    told = re.findall(r"`rotation\.(\w+)`", PAGE)
    assert len(told) > 6
    assert all(f'"{event}"' in source or f'"rotation.{event}"' in source for event in told)
