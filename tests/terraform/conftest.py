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
    """What they plan of an environment; a run that shows what is refused plans only a part."""
    return _plans(runs, of_bootstrap=False)


@pytest.fixture(scope="session")
def bootstraps(runs: dict[str, Run]) -> list[Plan]:
    """What they plan of what there must be before an environment."""
    return _plans(runs, of_bootstrap=True)


def _plans(runs: dict[str, Run], *, of_bootstrap: bool) -> list[Plan]:
    chosen = [run for run in runs.values() if run.name.startswith("bootstrap/") == of_bootstrap]
    return [run.plan for run in chosen if run.plan is not None and "refuse" not in run.name]
