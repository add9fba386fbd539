"""Terraform's own tests, and the rules on each plan that they make."""

import json
import re

import pytest

from shared.cli.deployment import read_deployment
from tests.support.terraform import TERRAFORM, terraform
from tests.support.tools import need
from tests.terraform.rules import RULES, text
from tests.terraform.rules.reading import environment, functions


def test_every_run_block_passes(runs):
    written = sum(len(re.findall(r"^run ", file.read_text(), re.M)) for file in TERRAFORM.glob("tests/*.tftest.hcl"))
    assert len(runs) == written
    assert not {name: run.faults for name, run in runs.items() if run.status != "pass"}
    assert not {name: run.faults for name, run in runs.items() if run.faults and "refuse" not in name}, "no warnings"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_plan_keeps_the_rule(rule, plans):
    assert plans
    assert not [f"{plan.name}: {fault}" for plan in plans for fault in rule(plan)]


@pytest.mark.parametrize("example", ["minimal", "production"])
def test_the_command_works_with_what_is_put_out(example, runs, tmp_path):
    outputs = runs[f"examples/{example}"].plan.outputs
    shown = tmp_path / "outputs.json"
    shown.write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
    deployment = read_deployment(shown)
    assert deployment.guard_url == outputs["url"]
    assert deployment.documents == "firestore://my-project/wardgate"
    assert set(deployment.dead_letters) == {"alerts", "events", "reminders"}
    guard = environment(functions(runs[f"examples/{example}"].plan)["guard"])
    assert deployment.admin_audience == guard["WARDGATE_ADMIN_AUDIENCE"]
    assert deployment.operator_account == guard["WARDGATE_ADMIN_ACCOUNTS"]


def test_the_configuration_is_formatted():
    need("terraform")
    assert not terraform("fmt", "-check", "-recursive").stdout


def test_what_no_plan_shows():
    assert not list(text.faults(TERRAFORM))
