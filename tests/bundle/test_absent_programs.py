"""A test that needs an absent program is skipped in sight, and fails in CI."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import pytest

@pytest.mark.needs("no-such-program")
def test_one():
    raise AssertionError("never run")

@pytest.mark.needs("no-such-program")
def test_two():
    raise AssertionError("never run")

@pytest.mark.needs("sh")
def test_three():
    pass
"""


def run(folder, ci):
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-n", "1", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": ci}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_summary_names_it(tmp_path):
    ran = run(tmp_path, ci="")
    assert ran.returncode == 0, ran.stdout
    assert "left out since no-such-program is not installed: 2 test(s)" in ran.stdout
    assert "1 passed, 2 skipped" in ran.stdout


def test_it_fails_in_ci(tmp_path):
    ran = run(tmp_path, ci="true")
    assert ran.returncode == 1
    assert "needs what is not installed: no-such-program" in ran.stdout
    assert "1 passed, 2 errors" in ran.stdout
