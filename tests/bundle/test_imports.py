"""Import budgets: what a function loads before it can serve, which is most of a cold start.

Counted in modules over a function that does nothing, since counts repeat and times do not.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from shared.local.prepare import prepare
from shared.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]

NEVER = (
    "anthropic",
    "fastapi",
    "google.api_core",
    "google.cloud",
    "google.genai",
    "grpc",
    "httpx",
    "jsonschema",
    "jsonschema_rs",
    "litellm",
    "markdown_it",
    "nh3",
    "openai",
    "proto",
    "pydantic",
    "requests",
    "sqlalchemy",
    "urllib3",
)
"""Not at import in any function. The Google clients come with their adapter, where the settings name it."""

BUDGETS = {
    "guard": (
        255,
        (
            *(
                "google.auth",
                "cryptography.x509",
                "cryptography.hazmat.primitives.ciphers",
                "shared.local",
                "shared.cli",
            ),
            *("shared.guards.model_armor", "shared.guards.moderation", "shared.guards.second_stage"),
        ),
    ),
    "model": (120, ("re2", "cryptography.x509", "shared.local", "shared.cli", "shared.guards")),
    "audit_archive": (65, ("re2", "cryptography", "google.auth", "shared.guards", "shared.gateway")),
    "audit_warehouse": (75, ("re2", "cryptography", "google.auth", "shared.guards", "shared.gateway")),
    "audit_alerts": (100, ("re2", "cryptography", "google.auth", "shared.gateway")),
    "rotate_secrets": (90, ("re2", "cryptography", "google.auth", "shared.guards", "shared.gateway")),
    "audit_seal": (95, ("re2", "cryptography", "google.auth", "shared.guards.pipeline", "shared.gateway")),
}
"""Function → (modules over an empty function, what else it has no use for at import)."""

_LIST = """
import json, sys
from functions_framework import create_app
create_app(sys.argv[1], sys.argv[2])
print(json.dumps(sorted(sys.modules)))
"""


@cache
def modules_of(target, source, home):
    environment = {"PATH": "/usr/bin:/bin", "WARDGATE_ENV": "development", "WARDGATE_HOME": str(home)}
    command = [sys.executable, "-c", _LIST, target, str(source)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return frozenset(json.loads(ran.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """What a function finds at its start."""
    folder = tmp_path_factory.mktemp("home")
    folder.chmod(0o700)
    prepare(load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(folder)}))
    return folder


@pytest.fixture(scope="module")
def before(home):
    return contents(home)


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def empty(tmp_path_factory, home, before):
    source = tmp_path_factory.mktemp("empty") / "main.py"
    source.write_text("def empty(request):\n    return ''\n")
    return modules_of("empty", source, home)


def added(name, home, empty):
    """What a function loads beyond what the framework loads for any."""
    return modules_of(name, ROOT / "functions" / name / "main.py", home) - empty


def test_every_function_has_a_budget():
    assert BUDGETS.keys() == {path.parent.name for path in ROOT.glob("functions/*/main.py")}


@pytest.mark.parametrize("name", BUDGETS)
def test_what_is_never_loaded_at_start(name, home, empty):
    unwanted = (*NEVER, *BUDGETS[name][1])
    found = {module for module in added(name, home, empty) for each in unwanted if f"{module}.".startswith(f"{each}.")}
    assert not found


@pytest.mark.parametrize("name", BUDGETS)
def test_how_much_is_loaded_at_start(name, home, empty):
    more = added(name, home, empty)
    assert len(more) <= BUDGETS[name][0], sorted(more)


_LOADED = """
import gc, sys
from functions_framework import create_app

def looks():
    return sum(generation["collections"] for generation in gc.get_stats())

before = looks()
create_app("guard", sys.argv[1])
looked = looks() - before
from shared.later import _ALL
print(len(_ALL), sum(bool(each._made) for each in _ALL), looked, int(gc.isenabled()), gc.get_freeze_count())
"""


@pytest.fixture(scope="module")
def loaded(home):
    source = ROOT / "functions" / "guard" / "main.py"
    environment = {"PATH": "/usr/bin:/bin", "WARDGATE_ENV": "development", "WARDGATE_HOME": str(home)}
    command = [sys.executable, "-c", _LOADED, str(source)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return list(map(int, ran.stdout.splitlines()[-1].split()))


def test_what_can_be_made_later_is_not_made_at_start(loaded):
    there, made, *_ = loaded
    assert there > 20
    assert made <= 1, "only the suspicious terms, which may be the policy's own"


def test_garbage_is_looked_for_once_all_is_loaded_and_not_in_that(loaded):
    *_, looked, enabled, frozen = loaded
    assert looked <= 3, "only what Flask needs before and after"
    assert enabled
    assert frozen > 10_000


@pytest.mark.parametrize("name", BUDGETS)
def test_nothing_is_written_at_start(name, home, before, empty):
    assert added(name, home, empty)
    assert contents(home) == before
