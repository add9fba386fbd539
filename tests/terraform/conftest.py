"""One run of Terraform serves all tests here."""

from __future__ import annotations

import pytest

from tests.support.terraform import Plan, Run, initialise, run_tests
from tests.support.tools import need


@pytest.fixture(scope="session")
def runs() -> dict[str, Run]:
    """Every run block of ``terraform/tests``."""
    need("terraform")
    initialise()
    return {run.name: run for run in run_tests()}


@pytest.fixture(scope="session")
def plans(runs: dict[str, Run]) -> list[Plan]:
    """What they plan; a run that shows what is refused plans only a part."""
    return [run.plan for run in runs.values() if run.plan is not None and "refuse" not in run.name]
