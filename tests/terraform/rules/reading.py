"""How rules read a plan. A rule is a function that yields a sentence for each fault it sees."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shared.policy import Policy, load_policy
from tests.support.terraform import ROOT, TERRAFORM, Plan, Resource

Rule = Callable[[Plan], Iterator[str]]

PROJECT, NUMBER, REGION = "my-project", "123456789012", "europe-west4"
"""Of every plan in tests."""


def differs(resource: Resource, expected: dict[str, Any], *path: str) -> Iterator[str]:
    """A fault for each value, of the resource or of its block at a path, that is not as expected."""
    found = resource.block(*path) if path else resource.values
    for name, value in expected.items():
        if found.get(name) != value:
            yield f"{resource.address}: {'.'.join([*path, name])} is {found.get(name)!r}, not {value!r}"


def is_whole(plan: Plan) -> bool:
    """Whether it is of a whole environment, not of one module."""
    return len(functions(plan)) > 1 or any(True for _ in plan.of("project_service"))


_POLICIES = {
    "production": TERRAFORM / "examples/production/policy.yaml",
    "drivers": TERRAFORM / "tests/policies/drivers.yaml",
    "sealed": TERRAFORM / "tests/policies/sealed.yaml",
    "second_stage": TERRAFORM / "tests/policies/second_stage.yaml",
}


def policy_file(plan: Plan) -> Path | None:
    """The policy that a plan is made with; None: the one that ships with Wardgate."""
    return _POLICIES.get(plan.name.rpartition("/")[2])


@functools.cache
def _policy(path: Path | None) -> Policy:
    return load_policy(path)


def policy(plan: Plan) -> Policy:
    """The policy that a plan is made with, as functions read it."""
    return _policy(policy_file(plan))


def second_stage(plan: Plan) -> bool:
    """Whether the policy that a plan is made with switches the second stage on for anybody."""
    file = policy(plan).file
    return any(each.guards.second_stage.mode != "off" for each in (file, *file.tenants.values()))


def functions(plan: Plan) -> dict[str, Resource]:
    """The functions by their entry points."""
    return {each.block("build_config")["entry_point"]: each for each in plan.of("cloudfunctions2_function")}


def environment(function: Resource) -> dict[str, str]:
    """The environment variables of a function."""
    return dict(function.block("service_config").get("environment_variables") or {})


def account(function: Resource) -> str:
    """The service account of a function."""
    return str(function.block("service_config").get("service_account_email"))


def url(function: Resource) -> str:
    """The address of a function, as Cloud Run makes it of name, project and region."""
    return f"https://{function.values['name']}-{NUMBER}.{function.values['location']}.run.app"


def is_private(plan: Plan) -> bool:
    """Whether the inner functions take calls from inside only."""
    model = functions(plan).get("model")
    return model is not None and model.block("service_config").get("ingress_settings") == "ALLOW_INTERNAL_ONLY"


def has_edge(plan: Plan) -> bool:
    """Whether there is a load balancer."""
    return any(True for _ in plan.of("compute_global_forwarding_rule"))


def encrypts(plan: Plan) -> bool:
    """Whether there is a key for data."""
    return any(key.key == "data" for key in plan.of("kms_crypto_key"))


@functools.cache
def called_with(function: str, call: str) -> Any:
    """The first argument of a call in a function's ``main.py``, which must be a literal."""
    tree = ast.parse((ROOT / f"functions/{function}/main.py").read_text())
    found = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call
    )
    return ast.literal_eval(found.args[0])
