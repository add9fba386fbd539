"""The smoke test for a real Firestore, tried on the emulator: it reports, cleans up, and wants a project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from shared.stores.connect import connect_documents

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_it_reports_and_leaves_nothing_behind(firestore_project: str) -> None:
    few = ("--commits", "10", "--threads", "4", "--seconds", "1")
    done = run(sys.executable, "-m", "tests.smoke", "--project", firestore_project, "--json", *few)
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert all(each["holds"] is not False for each in told["found"])
    names = " ".join(each["name"] for each in told["found"])
    assert all(part in names for part in ("ABORTED", "commit_time", "1 thread", "hot document", "update time", "limit"))
    assert told["deleted"] > 0
    documents = connect_documents(f"firestore://{firestore_project}", timeout_seconds=30.0)
    for collection in ("semantics", "load", "admission"):
        assert list(documents.list(told["prefix"] + collection)) == []


def test_it_wants_a_project() -> None:
    done = run("make", "smoke")
    assert done.returncode == 2
    assert "PROJECT=" in done.stderr


def test_it_says_what_it_does() -> None:
    done = run("make", "smoke", "ARGS=--help")
    assert done.returncode == 0
    assert "wardgate-smoke-" in done.stdout
