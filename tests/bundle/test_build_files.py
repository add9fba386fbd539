"""The files that build and check Wardgate name only what is there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))


def test_cloud_build_leaves_nothing_of_ci_out():
    (step,) = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["steps"]
    assert step["entrypoint"] == "bash"
    assert step["env"] == ["CI=true", "WARDGATE_OFFLINE=0"], "nothing may be missing, and the audit must be made"
    options, script = step["args"]
    assert options == "-euc"
    assert subprocess.run(["bash", "-n", "-c", script], check=False).returncode == 0
    assert script.splitlines()[-2:] == [".ci/run", "make package"]
    assert "package" in TARGETS


def test_ci_runs_targets_that_exist():
    script = (ROOT / ".ci/run").read_text()
    called = re.findall(r"^make ([a-z-]+)", script, re.M)
    assert called[-1] == "test"
    assert set(called) <= TARGETS
    for run in [".ci/run", *re.findall(r"^\.ci/[a-z-]+", script, re.M)]:
        assert os.access(ROOT / run, os.X_OK)


@pytest.fixture
def audit(tmp_path):
    """Runs .ci/audit-deps where `make` fails, and `curl` too unless the list is in reach: status, output and calls."""

    def audit(offline, *, in_reach=False):
        for name, status in (("make", 3), ("curl", 0 if in_reach else 6)):
            (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/calls\nexit {status}\n')
            (tmp_path / name).chmod(0o755)
        given = {name: value for name, value in os.environ.items() if name != "WARDGATE_OFFLINE"}
        environment = {**given, "PATH": f"{tmp_path}:{given['PATH']}"}
        environment |= {} if offline is None else {"WARDGATE_OFFLINE": offline}
        ran = subprocess.run([ROOT / ".ci/audit-deps"], env=environment, capture_output=True, text=True, check=False)
        calls = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
        return ran.returncode, ran.stdout.splitlines(), [call.split()[0] for call in calls]

    return audit


def test_an_audit_that_cannot_be_made_is_said_in_one_line(audit):
    status, printed, calls = audit(None)
    assert (status, calls, len(printed)) == (0, ["curl"], 1)
    assert printed[0].startswith("audit-deps: not run, since no list of vulnerabilities is in reach")


def test_an_audit_that_is_not_wanted_is_said_too(audit):
    assert audit("1") == (0, ["audit-deps: not run, since WARDGATE_OFFLINE=1"], [])


def test_an_audit_that_can_be_made_counts(audit):
    assert audit(None, in_reach=True) == (3, [], ["curl", "make"])


def test_an_audit_that_must_be_made_counts_whatever_is_in_reach(audit):
    assert audit("0") == (3, [], ["make"])


def test_a_slip_in_the_variable_is_no_leave(audit):
    assert audit("false")[0] == 2


def test_files_that_the_makefile_names_exist():
    for path in re.findall(r"\b(?:tests|functions|shared)/[\w./-]+\b", MAKEFILE):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"-m ((?:tests|shared)[\w.]*)", MAKEFILE):
        place = ROOT.joinpath(*module.split("."))
        assert (place / "__main__.py").exists() or place.with_suffix(".py").exists(), module


def test_every_target_is_listed_and_none_is_taken_for_a_file():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split())
    assert set(re.findall(r"^  make ([a-z-]+)", shown, re.M)) == phony == TARGETS


@pytest.mark.parametrize(
    "target", ["run", "test", "test-faults", "lint", "format", "lock", "package", "bench", "audit-deps"]
)
def test_every_target_installs_first(target):
    prerequisites = re.search(rf"^{target}: (.*?)(?: ##|$)", MAKEFILE, re.M)[1]
    assert prerequisites.startswith(("$(RUNTIME)", "$(DEV)"))


def test_a_python_that_is_too_old_is_said_in_one_line(tmp_path):
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["make", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert ended.stderr.splitlines()[0].startswith("Wardgate needs Python 3.11 or newer")
    assert not (tmp_path / "venv").exists()
