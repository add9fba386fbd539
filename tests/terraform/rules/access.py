"""Who may do what: the table of grants and no more, nothing public but guard, no secret in the state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.support.terraform import Plan, Resource
from tests.terraform.rules.reading import PROJECT, Rule, functions, is_whole

_GRANTS = yaml.safe_load((Path(__file__).parent.parent / "grants.yaml").read_text())
_NAMED_BY = (
    *("secret_id", "bucket", "topic", "subscription", "table_id", "repository", "crypto_key_id"),
    *("service_account_id", "name"),
)


def grants(plan: Plan) -> dict[str, list[str]]:
    """For each account or principal its roles, as ``role on kind name``, with the condition's title."""
    found: dict[str, list[str]] = {}
    for each in plan.resources:
        if each.type.endswith("_iam_member"):
            member = each.values["member"].removeprefix("serviceAccount:").removesuffix(".iam.gserviceaccount.com")
            found.setdefault(member, []).append(f"{each.values['role'].rpartition('/')[2]} on {_target(each)}")
    return {member: sorted(roles) for member, roles in sorted(found.items())}


def _target(grant: Resource) -> str:
    name = next((grant.values[field] for field in _NAMED_BY if grant.values.get(field)), grant.values.get("project"))
    kind = grant.type.removeprefix("google_").removesuffix("_iam_member").replace("_", " ")
    title = grant.block("condition").get("title")
    return f"{kind} {str(name).rpartition('/')[2]}{f' where {title}' if title else ''}"


def grants_are_those_of_the_table(plan: Plan) -> Iterator[str]:
    if not is_whole(plan):
        return
    expected = _GRANTS.get(plan.name.rpartition("/")[2])
    if expected is None:
        return
    found = grants(plan)
    for member in sorted({*found, *expected}):
        for role in sorted({*found.get(member, [])} ^ {*expected.get(member, [])}):
            yield f"{member}: {role}: {'is granted' if role in found.get(member, []) else 'is not granted'}"


def only_guard_is_public(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        members = [each.values.get("member"), *(each.values.get("members") or [])]
        for member in {"allUsers", "allAuthenticatedUsers"} & {str(member) for member in members}:
            of_guard = str(each.values.get("name")).endswith("-guard")
            if member != "allUsers" or each.values.get("role") != "roles/run.invoker" or not of_guard:
                yield f"{each.address} is for {member}"


def nothing_grants_too_much(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if re.search(r"_iam_(policy|binding)$", each.type):
            yield f"{each.address} takes away what others were granted"
        if re.search(r"roles/(owner|editor|viewer)$|admin$", each.values.get("role") or "", re.I):
            yield f"{each.address} grants {each.values['role']}"


def no_secret_is_in_the_state(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        if each.type in ("google_secret_manager_secret_version", "google_service_account_key", "random_password"):
            yield f"{each.address} keeps a secret in the state"
    for name, function in functions(plan).items():
        for field in ("secret_environment_variables", "secret_volumes"):
            if function.block("service_config").get(field):
                yield f"{name} is given a secret by {field}"


def every_function_has_an_account_of_its_own(plan: Plan) -> Iterator[str]:
    accounts = [function.block("service_config")["service_account_email"] for function in functions(plan).values()]
    made = {f"{each.values['account_id']}@{each.values['project']}" for each in plan.of("service_account")}
    for email in accounts:
        if accounts.count(email) > 1:
            yield f"{email} is shared"
        if email.removesuffix(".iam.gserviceaccount.com") not in made:
            yield f"{email} is not made here"


def every_account_that_is_granted_something_is_made(plan: Plan) -> Iterator[str]:
    made = {f"{each.values['account_id']}@{PROJECT}" for each in plan.of("service_account")}
    for member in grants(plan) if is_whole(plan) else ():
        if member.endswith(f"@{PROJECT}") and member not in made:
            yield f"{member} is granted something and not made"
    if is_whole(plan) and f"wardgate-operator@{PROJECT}" not in made:
        yield "operators have no account"


def the_labeller_can_only_label(plan: Plan) -> Iterator[str]:
    roles = {each.values["role"] for each in plan.of("secret_manager_secret_iam_member")}
    made = {f"projects/{PROJECT}/roles/{each.values['role_id']}" for each in plan.of("project_iam_custom_role")}
    if not {role for role in roles if role.startswith("projects/")} <= made:
        yield f"of the roles {sorted(roles)} only {sorted(made)} are made"
    for role in plan.of("project_iam_custom_role"):
        if sorted(role.values["permissions"]) != ["secretmanager.secrets.get", "secretmanager.secrets.update"]:
            yield f"{role.address} has {role.values['permissions']}"


_CONDITIONS = {
    "sources-only": 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-123456789012-europe-west4/") || '
    'resource.name.startsWith("projects/_/buckets/my-project-wardgate-sources/")',
    "wardgate-only": 'resource.name == "projects/my-project/databases/wardgate"',
}


def conditions_say_what_their_titles_say(plan: Plan) -> Iterator[str]:
    for each in plan.resources:
        condition = each.block("condition") if each.type.endswith("_iam_member") else {}
        if condition and condition["expression"] != _CONDITIONS.get(condition["title"]):
            yield f"{each.address} is granted where {condition['expression']}"


RULES: list[Rule] = [
    grants_are_those_of_the_table,
    only_guard_is_public,
    nothing_grants_too_much,
    no_secret_is_in_the_state,
    every_function_has_an_account_of_its_own,
    every_account_that_is_granted_something_is_made,
    the_labeller_can_only_label,
    conditions_say_what_their_titles_say,
]
