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


def test_cloud_build_runs_targets_that_exist():
    build = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
    steps = {step["id"]: step for step in build["steps"]}
    assert {"lint", "test", "audit-deps", "package"} <= steps.keys()
    for step in steps.values():
        assert step["entrypoint"] == "make"
        assert set(step["args"]) <= TARGETS


def test_ci_runs_targets_that_exist():
    script = (ROOT / ".ci/run").read_text()
    assert os.access(ROOT / ".ci/run", os.X_OK)
    called = re.findall(r"^make ([a-z-]+)", script, re.M)
    assert called[-1] == "test"
    assert set(called) <= TARGETS


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
