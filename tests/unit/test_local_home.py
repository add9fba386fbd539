"""A home says where the stack that runs on it keeps its stores, and no longer than it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.cli import main
from shared.local.home import STORES_FILE, only_stack_of, stores_of_running_stack, tell_stores

STORES = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "WARDGATE_DOCUMENTS": "firestore://wardgate-local"}

KILLED = """
import os, sys
from pathlib import Path
from shared.local.home import only_stack_of, tell_stores

home = Path(sys.argv[1])
with only_stack_of(home), tell_stores(home, {"WARDGATE_DOCUMENTS": "firestore://gone"}):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_they_are_told_while_the_stack_runs_and_not_before_or_after(home: Path) -> None:
    assert stores_of_running_stack(home) == {}
    with only_stack_of(home):
        assert stores_of_running_stack(home) == {}
        with tell_stores(home, STORES):
            assert stores_of_running_stack(home) == STORES
        assert stores_of_running_stack(home) == {}
    assert stores_of_running_stack(home) == {}


def test_a_shell_can_source_them(home: Path) -> None:
    with only_stack_of(home), tell_stores(home, STORES):
        told = subprocess.run(
            ["sh", "-c", f". {home / STORES_FILE}; env"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
    assert {f"{name}={value}" for name, value in STORES.items()} <= set(told)


def test_what_a_killed_stack_has_left_is_not_believed_and_goes_with_the_next(home: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(home)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (home / STORES_FILE).exists()
    assert stores_of_running_stack(home) == {}
    with only_stack_of(home):
        assert not (home / STORES_FILE).exists()


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ({}, "firestore://wardgate-local"),
        ({"WARDGATE_DOCUMENTS": "sqlite:///x"}, "sqlite:///x"),  # the environment's word is the last
        ({"WARDGATE_ENV": "production"}, None),
    ],
)
def test_commands_of_development_work_on_them(
    home: Path, given: dict[str, str], settled: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WARDGATE_ENV", *STORES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", {**os.environ, "WARDGATE_HOME": str(home), **given})
    with only_stack_of(home), tell_stores(home, STORES):
        main(["policy", "show"])
    assert os.environ.get("WARDGATE_DOCUMENTS") == settled
