"""Terraform's own tests, and the rules on each plan that they make."""

import re

import pytest

from tests.support.terraform import TERRAFORM
from tests.terraform.rules import RULES, text


def test_every_run_block_passes(runs):
    written = sum(len(re.findall(r"^run ", file.read_text(), re.M)) for file in TERRAFORM.glob("tests/*.tftest.hcl"))
    assert len(runs) == written
    assert not {name: run.faults for name, run in runs.items() if run.status != "pass"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_plan_keeps_the_rule(rule, plans):
    assert plans
    assert not [f"{plan.name}: {fault}" for plan in plans for fault in rule(plan)]


def test_what_no_plan_shows():
    assert not list(text.faults(TERRAFORM))
