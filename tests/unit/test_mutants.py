"""The faults that ``make mutate-admission`` plants still have a place in the code."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.mutation.admission import MUTANTS
from tests.mutation.mutants import ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_can_be_planted_and_is_still_python(mutant: Mutant, tmp_path: Path) -> None:
    place = tmp_path / mutant.file
    place.parent.mkdir(parents=True)
    shutil.copy(ROOT / mutant.file, place)
    mutant.plant(tmp_path)
    ast.parse(place.read_text())


def test_a_fault_without_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1\n1\n")
    for text in ("1", "2"):
        with pytest.raises(LookupError, match="not once"):
            Mutant("m", "a.py", text, "3").plant(tmp_path)
