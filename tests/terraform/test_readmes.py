"""The READMEs' tables say what the variables and outputs are."""

import re

import pytest

from tests.support.terraform import TERRAFORM
from tests.support.terraform_readme import folders, readme


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_tables_are_fresh(folder):
    assert (folder / "README.md").read_text() == readme(folder), "run: make terraform-docs"


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_every_variable_is_typed_told_and_never_null(folder):
    text = (folder / "variables.tf").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S)
    names = [name for name, _ in blocks]
    assert names == sorted(names)
    for name, body in blocks:
        for field in ("description", "type", "nullable"):
            assert re.search(rf"^  {field} +=", body, re.M), f"{name} has no {field}"
        assert "nullable    = false" in body or "nullable = false" in body, f"{name} may be null"
        assert "type        = any" not in body
        for message in re.findall(r'error_message = "(.*)"', body):
            assert re.fullmatch(r"[A-Z].*\.", message), f"{name} is refused with no full sentence: {message}"


def test_only_project_and_region_must_be_given():
    text = (TERRAFORM / "variables.tf").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S)
    assert [name for name, body in blocks if not re.search(r"^  default +=", body, re.M)] == ["project", "region"]


def test_no_condition_counts_on_a_short_circuit():
    """Terraform before 1.12 evaluates both sides of && and ||."""
    for path in TERRAFORM.rglob("*.tf"):
        if ".terraform" not in path.parts:
            code = re.sub(r'"(?:[^"\\]|\\.)*"|#.*', "", path.read_text())
            assert "&&" not in code, path
            assert "||" not in code, path
