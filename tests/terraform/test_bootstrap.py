"""What the account that deploys may grant is what the environment grants, and no more."""

import re

import pytest

from tests.support.terraform import TERRAFORM
from tests.terraform.rules import access

BOOTSTRAP = (TERRAFORM / "bootstrap/main.tf").read_text()


def listed(name):
    return set(re.findall(r'"(roles/[\w.]+)"', re.search(rf"{name} += (?:toset\()?\[(.*?)\]", BOOTSTRAP, re.S)[1]))


@pytest.mark.parametrize(
    "rule", [access.only_guard_is_public, access.no_secret_is_in_the_state], ids=lambda rule: rule.__name__
)
def test_it_keeps_the_rules_of_environments(rule, bootstraps):
    assert bootstraps
    assert not [fault for plan in bootstraps for fault in rule(plan)]


def test_the_account_that_deploys_may_grant_what_the_environment_grants_and_no_more(plans):
    environments = [plan for plan in plans if plan.name.startswith("examples/")]
    granted = {grant.values["role"] for plan in environments for grant in plan.of("project_iam_member")}
    assert granted
    assert listed("granted_roles") == granted


def test_the_account_that_checks_has_roles_that_only_read():
    assert {role for role in listed("check_roles") if not re.search(r"(?i)viewer|reader|reviewer|browser", role)} == {
        "roles/logging.logWriter"  # of its own builds
    }


def test_no_account_may_do_everything_or_read_secrets():
    for role in listed("check_roles") | listed("deploy_roles") | listed("granted_roles"):
        assert role not in ("roles/owner", "roles/editor", "roles/viewer", "roles/secretmanager.admin"), role
        assert "secretAccessor" not in role
