"""guard by itself: before its secrets exist, and with settings or a policy that are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.identity.local_issuer import create_local_issuer
from shared.local.prepare import prepare
from shared.settings import load_settings
from tests.support.function_process import ROOT, FunctionProcess


def get(port: int, path: str, key: str | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if key:
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # loopback
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_until_the_secrets_are_made_it_is_not_ready(tmp_path: Path) -> None:
    create_local_issuer(tmp_path / "identity")
    key = f"wg_aaaq{'a' * 20}_{'a' * 40}"
    with FunctionProcess("guard", tmp_path) as guard:
        assert get(guard.port, "/healthz") == (200, {"status": "ok"})
        for path, credential in (("/v1/models", key), ("/.well-known/jwks.json", None)):
            status, body = get(guard.port, path, credential)
            assert (status, body["error"]["code"]) == (503, "not_ready")
        prepare(load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(tmp_path)}))
    with FunctionProcess("guard", tmp_path) as guard:
        status, body = get(guard.port, "/v1/models", key)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert len(get(guard.port, "/.well-known/jwks.json")[1]["keys"]) == 1


@pytest.mark.parametrize(
    ("environ", "lines"),
    [
        ({"WARDGATE_ENV": "production"}, 5),
        ({"WARDGATE_ENV": "production", "UPSTREAM_API_KEY": "sk-marker"}, 6),
        ({"WARDGATE_ENV": "staging"}, 6),
        ({"WARDGATE_DOCUMENTS": "mysql://host/database"}, 1),
    ],
)
def test_wrong_settings_stop_the_start_with_a_line_each(tmp_path: Path, environ: Mapping[str, str], lines: int) -> None:
    stopped = start(tmp_path, environ)
    assert stopped.returncode == 2
    assert len(stopped.stderr.splitlines()) == lines
    assert all(line.startswith("wardgate: ") for line in stopped.stderr.splitlines())
    assert "marker" not in stopped.stderr


def test_a_wrong_policy_stops_the_start_with_one_line(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("limits: [{name: a, amount: lots, window_seconds: 60}]")
    stopped = start(tmp_path, {"WARDGATE_POLICY": str(policy)})
    assert stopped.returncode == 2
    assert stopped.stderr == f"wardgate: {policy}: limits[0].amount: Expected `int`, got `str`.\n"


def test_a_guard_without_what_it_needs_stops_the_start_with_one_line(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    create_local_issuer(tmp_path / "identity")
    policy.write_text("guards: {moderation: {mode: enforce}}")
    stopped = start(tmp_path, {"WARDGATE_POLICY": str(policy)})
    assert stopped.returncode == 2
    assert stopped.stderr == "wardgate: guards.moderation.base_url: is needed, unless 'mode: off' is given.\n"


def test_a_time_zone_without_a_database_stops_the_start_and_names_the_remedy(tmp_path: Path) -> None:
    """As in an image without tzdata: the directories of zoneinfo are empty, and nothing of that name is installed."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("limits: [{name: a, amount: 1, window: day, time_zone: Europe/Berlin}]")
    environ = {"WARDGATE_POLICY": str(policy), "PYTHONTZPATH": str(tmp_path)}
    stopped = start(tmp_path, environ)
    assert stopped.returncode == 2
    assert stopped.stderr == (
        f"wardgate: {policy}: limits[0].time_zone: this machine has no time zone database; "
        "install the package tzdata (of the system or of PyPI), or use UTC.\n"
    )
    policy.write_text("limits: [{name: a, amount: 1, window: day}]")
    create_local_issuer(tmp_path / "identity")
    with FunctionProcess("guard", tmp_path, environ) as guard:
        assert get(guard.port, "/healthz")[0] == 200


def start(home: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run guard until it ends by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WARDGATE_", "UPSTREAM_"))}
    source = ROOT / "functions" / "guard" / "main.py"
    command = [sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", "0"]
    return subprocess.run(
        [*command, "--target", "guard", "--source", str(source)],
        env={**clean, "WARDGATE_ENV": "development", "WARDGATE_HOME": str(home), "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
