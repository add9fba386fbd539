"""The rules that every plan must keep: each a function that yields a sentence for each fault it sees."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.terraform import ROOT, Plan, Resource

Rule = Callable[[Plan], Iterator[str]]

RULES: list[Rule] = []

PROJECT, NUMBER = "my-project", "123456789012"
"""Of every plan in tests."""


def rule(check: Rule) -> Rule:
    """Have a rule applied to every plan."""
    RULES.append(check)
    return check


def functions(plan: Plan) -> dict[str, Resource]:
    """The functions by their entry points."""
    return {each.block("build_config")["entry_point"]: each for each in plan.of("cloudfunctions2_function")}


def environment(function: Resource) -> dict[str, str]:
    """The environment variables of a function."""
    return dict(function.block("service_config").get("environment_variables") or {})


def grants(plan: Plan) -> set[tuple[str, str, str]]:
    """Who (without ``serviceAccount:``) has which role on what."""
    return {
        (each.values["member"].removeprefix("serviceAccount:"), each.values["role"], _target(each))
        for each in plan.resources
        if each.type.endswith("_iam_member")
    }


_TARGETS = ("secret_id", "bucket", "topic", "subscription", "table_id", "repository", "crypto_key_id", "name")


def _target(grant: Resource) -> str:
    what = next((grant.values[field] for field in _TARGETS if grant.values.get(field)), None)
    if grant.type == "google_service_account_iam_member":
        what = grant.values["service_account_id"]
    condition = grant.block("condition").get("title")
    kind = grant.type.removeprefix("google_").removesuffix("_iam_member")
    return f"{kind} {what or grant.values.get('project')}{f' if {condition}' if condition else ''}"


# --- who may do what ----------------------------------------------------------------------------


@rule
def only_guard_is_public(plan: Plan) -> Iterator[str]:
    for member, role, target in grants(plan):
        if member in ("allUsers", "allAuthenticatedUsers") and (
            member != "allUsers" or role != "roles/run.invoker" or not target.endswith("-guard")
        ):
            yield f"{member} has {role} on {target}"


@rule
def nothing_grants_too_much(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if re.search(r"_iam_(policy|binding)$", each.type):
            yield f"{each.address} takes away what others were granted"
        if each.type in ("google_service_account_key", "google_project_iam_policy"):
            yield f"{each.address} must not be"
        role = each.values.get("role") or ""
        if re.search(r"roles/(owner|editor|viewer)$|admin$", role, re.I):
            yield f"{each.address} grants {role}"


@rule
def no_secret_is_in_the_state(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if each.type in ("google_secret_manager_secret_version", "random_password", "tls_private_key"):
            yield f"{each.address} keeps a secret in the state"
    for name, function in functions(plan).items():
        if function.block("service_config").get("secret_environment_variables"):
            yield f"{name} gets a secret in its environment"


# --- functions ----------------------------------------------------------------------------------


@rule
def every_function_is_deployed(plan: Plan) -> Iterator[str]:
    folders = {path.parent.name for path in ROOT.glob("functions/*/main.py")}
    deployed = functions(plan)
    if plan_is_whole(plan) and set(deployed) != folders:
        yield f"deployed are {sorted(deployed)}, in functions/ are {sorted(folders)}"
    for entry in deployed:
        tree = ast.parse((ROOT / f"functions/{entry}/main.py").read_text())
        if entry not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            yield f"functions/{entry}/main.py has no function {entry}"


@rule
def functions_are_bounded(plan: Plan) -> Iterator[str]:
    for name, function in functions(plan).items():
        service = function.block("service_config")
        if not 1 <= (service.get("max_instance_count") or 0) <= 100:
            yield f"{name} has no bound on its instances"
        if not 1 <= (service.get("timeout_seconds") or 0) <= 3600:
            yield f"{name} has no timeout"
        if not 1 <= (service.get("max_instance_request_concurrency") or 0) <= 1000:
            yield f"{name} has no concurrency"
        if service.get("available_memory") is None or service.get("available_cpu") is None:
            yield f"{name} has no size"


@rule
def threads_are_the_concurrency(plan: Plan) -> Iterator[str]:
    for name, function in functions(plan).items():
        concurrency = function.block("service_config").get("max_instance_request_concurrency")
        if environment(function).get("THREADS") != str(concurrency):
            yield f"{name} serves {concurrency} requests at once with {environment(function).get('THREADS')} threads"


def plan_is_whole(plan: Plan) -> bool:
    """Whether it is of a whole environment, not of one module."""
    return any(True for _ in plan.of("project_service"))


def read(path: str) -> str:
    """A file of the repository."""
    return (ROOT / path).read_text()


def host(url: Any) -> str:
    """The host of a URL."""
    return urlsplit(str(url)).hostname or ""


def started_with(function: str) -> set[str]:
    """The settings that a function's ``main.py`` cannot do without."""
    tree = ast.parse(Path(ROOT / f"functions/{function}/main.py").read_text())
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "start"
    )
    return set(ast.literal_eval(call.args[0]))
