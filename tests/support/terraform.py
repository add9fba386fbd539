"""Terraform in tests: every run block of ``*.tftest.hcl`` with its verdict and its plan.

``terraform test -json -verbose`` prints each plan whole, so one run gives the verdicts of Terraform's own
tests and the plans that the rules look at. The tests mock the provider, of which they need the schema
alone: no account, no credentials.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
_SECONDS = 300


class TerraformFailed(Exception):
    """Terraform could not run; the message is what it said."""


@dataclass(frozen=True)
class Resource:
    """One resource as it is planned."""

    address: str
    type: str
    name: str
    """Its name in the configuration."""

    key: str
    """Its key under ``for_each``; empty: it has none."""

    values: dict[str, Any]
    """What is known of it; what is known only after it is made is missing."""

    @property
    def module(self) -> str:
        """The name of the innermost module that it is in; empty: the root."""
        inside = self.address.rpartition(".google_")[0] or self.address.rpartition(".terraform_data")[0]
        return inside.rpartition("module.")[2].partition("[")[0].partition(".")[0]

    def block(self, *path: str) -> dict[str, Any]:
        """The one nested block at a path, as in ``block("service_config")``; empty where there is none."""
        value: Any = self.values
        for step in path:
            inner = value.get(step) or [{}]
            value = inner[0] if isinstance(inner, list) else inner
        return dict(value)


@dataclass(frozen=True)
class Plan:
    """What one run block plans to make."""

    name: str
    """``file/run``, without the file's ending."""

    resources: tuple[Resource, ...]
    outputs: dict[str, Any]

    def of(self, *types: str) -> Iterator[Resource]:
        """The resources of some types, given without ``google_``."""
        wanted = {f"google_{kind}" for kind in types}
        return (resource for resource in self.resources if resource.type in wanted)


@dataclass(frozen=True)
class Run:
    """A run block: what Terraform thinks of it, and its plan."""

    name: str
    status: str
    """``pass``, ``fail``, ``error`` or ``skip``."""

    plan: Plan | None = None
    faults: list[str] = field(default_factory=list)


def terraform(*arguments: str, folder: Path = TERRAFORM) -> subprocess.CompletedProcess[str]:
    """Run a command of Terraform's, whatever its exit code."""
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def initialise(folder: Path = TERRAFORM) -> None:
    """Fetch providers and modules.

    Raises:
        TerraformFailed: Terraform could not.
    """
    done = terraform("init", "-backend=false", "-no-color", folder=folder)
    if done.returncode:
        raise TerraformFailed(done.stderr.strip() or done.stdout.strip())


def run_tests(*files: str, folder: Path = TERRAFORM) -> list[Run]:
    """Run Terraform's own tests, all or those of some files such as ``tests/examples.tftest.hcl``.

    Raises:
        TerraformFailed: They did not run at all.
    """
    filters = [f"-filter={file}" for file in files]
    done = terraform("test", "-json", "-verbose", "-no-color", *filters, folder=folder)
    runs = list(_runs(done.stdout))
    if not runs:
        raise TerraformFailed(done.stderr.strip() or done.stdout.strip()[-4000:])
    return runs


def _runs(output: str) -> Iterator[Run]:
    statuses: dict[str, str] = {}
    plans: dict[str, Plan] = {}
    faults: dict[str, list[str]] = {}
    for line in output.splitlines():
        # The schemas, megabytes in every plan, stand behind the rest of it.
        plan, cut, _ = line.partition(',"provider_format_version":')
        message = json.loads(f"{plan}}}}}") if cut else json.loads(line)
        name = f"{Path(message.get('@testfile', '')).name.removesuffix('.tftest.hcl')}/{message.get('@testrun', '')}"
        match message:
            case {"test_run": {"progress": "complete", "status": status}}:
                statuses[name] = status
            case {"test_plan": {"resource_changes": _} as shown}:  # missing where a variable was refused
                plans[name] = _plan(name, shown)
            case {"diagnostic": _}:
                said = message["diagnostic"]
                faults.setdefault(name, []).append(f"{said['summary']}: {said['detail']}")
    for name in statuses | faults:
        yield Run(name, statuses.get(name, "error"), plans.get(name), faults.get(name, []))


def _plan(name: str, shown: dict[str, Any]) -> Plan:
    resources = tuple(
        Resource(
            address=change["address"],
            type=change["type"],
            name=change["name"],
            key=str(change.get("index", "")),
            values=change["change"]["after"],
        )
        for change in shown["resource_changes"]
        if change["mode"] == "managed"
    )
    outputs = {key: change.get("after") for key, change in shown.get("output_changes", {}).items()}
    return Plan(name, resources, outputs)
