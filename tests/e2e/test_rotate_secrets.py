"""rotate_secrets as it runs: a functions-framework process, called as Cloud Scheduler calls it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.policy.secret_rules import HELD_SECRETS

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = (sys.executable, "-m", "functions_framework", "--target", "rotate_secrets", "--host", "127.0.0.1")


def environment(home: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WARDGATE_")}
    return {**inherited, "WARDGATE_ENV": "development", "WARDGATE_HOME": str(home), **more}


@dataclass
class Function:
    """The running function."""

    url: str
    home: Path

    def call(self, method: str, path: str = "/", **headers: str) -> tuple[int, Any, Any]:
        response = urllib3.request(method, self.url + path, headers=headers, retries=False, timeout=20)
        return response.status, json.loads(response.data), response.headers


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    home = tmp_path_factory.mktemp("rotate") / "home"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*FRAMEWORK, "--source", "functions/rotate_secrets/main.py", "--port", str(port)],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    function = Function(f"http://127.0.0.1:{port}", home)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert function.call("GET", "/healthz")[0] == 200
                break
            except urllib3.exceptions.HTTPError:
                assert process.poll() is None, "it ended by itself"
                assert time.monotonic() < deadline, "it never answered"
                time.sleep(0.05)
        yield function
    finally:
        process.terminate()
        process.wait(10)


def test_scheduler_makes_what_is_missing_and_anybody_may_look(function: Function) -> None:
    status, report, _ = function.call("GET")
    assert (status, report["ticks"]) == (200, [])
    assert {secret["status"] for secret in report["secrets"]} == {"missing"}

    status, report, headers = function.call("POST", **{"x-request-id": "tick-1"})
    assert (status, headers["x-request-id"]) == (200, "tick-1")
    assert {tick["secret"]: tick["result"] for tick in report["ticks"]} == dict.fromkeys(HELD_SECRETS, "promoted")

    status, report, _ = function.call("POST")
    assert {tick["result"] for tick in report["ticks"]} == {"not_due"}
    assert {secret["status"] for secret in report["secrets"]} == {"ok"}
    assert (function.home / "secrets" / "audit-pepper" / "1.enabled").stat().st_size == 32


def notification(event: str = "SECRET_ROTATE", name: str = "audit-pepper", **more: str | None) -> dict[str, Any]:
    """A push of Pub/Sub's, as Secret Manager's notifications come."""
    attributes = {
        "eventType": event,
        "dataFormat": "JSON_API_V1",
        "secretId": f"projects/123456789012/secrets/{name}",
        "timestamp": datetime.now(UTC).isoformat(),
        **more,
    }
    message = {"attributes": {name: value for name, value in attributes.items() if value}, "messageId": "1"}
    return {"message": {**message, "data": "e30="}, "subscription": "projects/p/subscriptions/rotate"}


def generation(function: Function, name: str) -> int:
    found = {secret["name"]: secret["generation"] for secret in function.call("GET")[1]["secrets"]}
    return int(found[name])


def push(function: Function, body: Any) -> tuple[int, Any]:
    response = urllib3.request("POST", f"{function.url}/notifications", json=body, retries=False, timeout=20)
    return response.status, json.loads(response.data)


def test_secret_managers_message_rotates_once_however_often_it_comes(function: Function) -> None:
    function.call("POST")
    before = generation(function, "audit-pepper")
    message = notification()
    for _ in range(3):
        assert push(function, message) == (200, {"status": "ok"})
    assert generation(function, "audit-pepper") == before + 1
    assert generation(function, "api-key-pepper") == 1


@pytest.mark.parametrize(
    "body",
    [
        notification("SECRET_VERSION_ADD"),
        notification(name="somebody-elses"),
        {"message": {"attributes": {"eventType": "TOPIC_CONFIGURED"}, "messageId": "1"}},
    ],
    ids=["another event", "another secret", "the first message of a topic"],
)
def test_messages_for_others_are_done_with(function: Function, body: Any) -> None:
    assert push(function, body) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"message": {}},
        {"message": {"attributes": {"eventType": 7}}},
        notification(timestamp="yesterday"),
        notification(timestamp="2026-01-01T00:00:00"),
        notification(timestamp=None),
        notification(secretId=None),
    ],
    ids=["object", "list", "no attributes", "number", "day", "no zone", "no time", "no secret"],
)
def test_what_is_no_notification_is_refused(function: Function, body: Any) -> None:
    status, answer = push(function, body)
    assert (status, answer["error"]["code"]) == (400, "malformed_notification")


def test_other_methods_are_refused(function: Function) -> None:
    status, answer, headers = function.call("DELETE")
    assert (status, answer["error"]["code"], headers["allow"]) == (405, "method_not_allowed", "GET, POST")


def test_a_store_that_cannot_be_used_is_a_503_that_scheduler_retries(function: Function) -> None:
    holder = sqlite3.connect(function.home / "documents.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        status, answer, _ = function.call("POST")
        assert (status, answer["error"]["code"]) == (503, "service_unavailable")
        assert "documents" not in answer["error"]["message"]
    finally:
        holder.close()


def test_a_bad_setting_stops_the_start_with_a_line_for_each_fault(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*FRAMEWORK, "--source", "functions/rotate_secrets/main.py", "--port", "0"],
        cwd=ROOT,
        env=environment(tmp_path, WARDGATE_SECRETS="vault:///x"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "wardgate: WARDGATE_SECRETS: scheme 'vault' is not supported; give one of files://…, secretmanager://…."
    ]
