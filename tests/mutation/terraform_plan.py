"""Mutants of a plan: each grant dropped, each setting dropped or weakened, and the rules looked at again.

A setting is changed in all instances of its resource and in all plans at once, as a change of the configuration would.
Nothing is planned anew, so thousands take a minute.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.support.terraform import Plan, Resource
from tests.terraform.rules import RULES

WEAKER = {
    "enforced": "inherited",
    "RESTRICTED": "COMPATIBLE",
    "TLS_1_2": "TLS_1_0",
    "INHERITED": "DISABLED",
    "ENABLED": "DISABLED",
    "deny(403)": "allow",
    "rate_based_ban": "throttle",
    "MEDIUM_AND_ABOVE": "HIGH",
    "POINT_IN_TIME_RECOVERY_ENABLED": "POINT_IN_TIME_RECOVERY_DISABLED",
    "DATA_READ": "ADMIN_READ",
    "roles/storage.objectCreator": "roles/storage.objectUser",
    "roles/storage.objectViewer": "roles/storage.objectUser",
    "roles/secretmanager.viewer": "roles/secretmanager.secretAccessor",
    "roles/secretmanager.secretAccessor": "roles/secretmanager.admin",
    "roles/datastore.viewer": "roles/datastore.user",
    "roles/run.invoker": "roles/run.developer",
    "roles/pubsub.publisher": "roles/pubsub.editor",
    "roles/bigquery.dataEditor": "roles/bigquery.dataOwner",
    "roles/cloudkms.signerVerifier": "roles/cloudkms.signer",
    "private": "public",
    "EGRESS": "INGRESS",
}

UNSEEN = {
    *("description", "display_name", "title", "friendly_name", "documentation", "user_labels"),  # for people
    *("content_type", "metadata"),  # of zips, which Cloud Functions alone reads
    *("project", "location", "region"),  # without them the provider's own are taken
    *("timeouts", "terraform_labels", "effective_labels"),
}
"""Settings whose loss could do no harm that a plan shows."""

_WATCHED_ELSEWHERE = ("google_monitoring_dashboard", "google_logging_metric", "terraform_data")
"""What tests of their own look at: the metrics, the dashboard."""

Step = str | int


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one resource of the configuration, or of one grant."""

    resource: str
    """Its address without keys; with them where only one instance is dropped."""

    path: tuple[Step, ...]
    """Where; empty: the resource itself."""

    new: Any
    """What takes the place; None: nothing does."""

    def __str__(self) -> str:
        what = ".".join(map(str, self.path))
        change = "drop" if self.new is None else "weaken"
        becomes = "" if self.new is None else f" = {self.new!r}"
        return f"{change:7} {self.resource}{f': {what}' if what else ''}{becomes}"

    def applied(self, plan: Plan) -> Plan:
        """A copy of the plan with this change."""
        resources = []
        for each in plan.resources:
            if self.resource not in (each.address, _plain(each)):
                resources.append(each)
            elif self.path:
                resources.append(replace(each, values=_changed(each.values, self.path, self.new)))
        return replace(plan, resources=tuple(resources))


def mutants(plans: list[Plan], required: dict[str, set[str]]) -> list[Mutant]:
    """Every mutant of the plans.

    Args:
        plans: What is planned.
        required: Of each type of resource the settings that Terraform asks for, so that it notices their loss itself.
    """
    found: dict[str, Mutant] = {}
    for plan in plans:
        for each in plan.resources:
            if each.type.startswith(_WATCHED_ELSEWHERE):
                continue
            for mutant in _of(each, required.get(each.type, set())):
                found.setdefault(str(mutant), mutant)
    return list(found.values())


def broken_rule(plans: list[Plan]) -> str:
    """The first rule that the plans break; empty: none."""
    for rule in RULES:
        try:
            if any(True for plan in plans for _ in rule(plan)):
                return rule.__name__
        except (KeyError, ValueError, IndexError, TypeError, AttributeError, OSError):  # what it reads is gone
            return rule.__name__
    return ""


def required_settings(schemas: dict[str, Any]) -> dict[str, set[str]]:
    """Of each type of resource the paths of what must be given, as ``push_config.push_endpoint``."""
    return {
        kind: set(_required(schema["block"], ""))
        for provider in schemas.values()
        for kind, schema in provider.get("resource_schemas", {}).items()
    }


def _required(block: dict[str, Any], before: str) -> Iterator[str]:
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("required"):
            yield f"{before}{name}"
    for name, nested in block.get("block_types", {}).items():
        if nested.get("min_items"):
            yield f"{before}{name}"
        yield from _required(nested["block"], f"{before}{name}.")


def _plain(resource: Resource) -> str:
    return re.sub(r"\[[^]]*\]", "", resource.address)


def _of(resource: Resource, required: set[str]) -> Iterator[Mutant]:
    yield Mutant(resource.address if resource.type.endswith("_iam_member") else _plain(resource), (), None)
    for path, value in _settings(resource.values, ()):
        names = ".".join(step for step in path if isinstance(step, str))
        if names not in required:
            yield Mutant(_plain(resource), path, None)
        for weaker in _weaker(value):
            yield Mutant(_plain(resource), path, weaker)


def _settings(value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Every setting and nested block, with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in UNSEEN and _is_known(inner):
                yield (*path, name), inner
                yield from _settings(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, dict):
                yield from _settings(inner, (*path, index))


def _is_known(value: Any) -> bool:
    """Whether a setting is given, and known before anything is made."""
    return value not in (None, [], {}, "") and not (isinstance(value, list) and set(map(str, value)) == {"None"})


def _weaker(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int) and value > 1:
        yield value // 10 or 1
    elif isinstance(value, str) and (match := re.fullmatch(r"([1-9]\d*)s", value)):
        yield f"{int(match[1]) // 10}s"
    elif isinstance(value, str) and value in WEAKER:
        yield WEAKER[value]


def _changed(value: Any, path: tuple[Step, ...], new: Any) -> Any:
    step, *rest = path
    if not (step in value if isinstance(value, dict) else step < len(value)):
        return value
    changed = copy.copy(value)
    changed[step] = _changed(value[step], tuple(rest), new) if rest else new
    return changed


def schemas_of(line: str) -> dict[str, Any]:
    """The providers' schemas in a plan that ``terraform test -json -verbose`` printed."""
    return dict(json.loads(line)["test_plan"]["provider_schemas"])
