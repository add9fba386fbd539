"""rotate_secrets with drivers, as it runs: a key that leaks, a provider that fails, and who is told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.cli.main import main
from shared.stores.file_secrets import FileSecrets
from tests.support.function_process import FunctionProcess
from tests.support.providers import KeyWebhook, OpenAIAdmin

HTTP = urllib3.PoolManager(retries=False)


class Webhook(KeyWebhook):
    """Reads the secret that it verifies with from the home's store, as it would from Secret Manager."""

    def __init__(self) -> None:
        self.store: FileSecrets | None = None
        super().__init__([])

    def answer(self, request: Any) -> tuple[int, Any]:
        assert self.store is not None
        enabled = [one.number for one in self.store.versions("hook") if one.state == "enabled"]
        self.signing_secrets = [self.store.access("hook", number).reveal() for number in enabled]
        return super().answer(request)


class World:
    """The function with its home, and the providers that its policy names."""

    def __init__(self, function: FunctionProcess, home: Path, webhook: Webhook, openai: OpenAIAdmin) -> None:
        self.function = function
        self.home = home
        self.webhook = webhook
        self.openai = openai

    def run(self) -> dict[str, str]:
        answer = HTTP.request("POST", f"{self.function.url}/", timeout=60)
        assert answer.status == 200, answer.data
        return {tick["secret"]: tick["result"] for tick in answer.json()["ticks"]}

    def told(self) -> list[dict[str, Any]]:
        """What is on the alerts topic."""
        spool = sqlite3.connect(self.home / "alerts.db")
        rows = spool.execute("SELECT data FROM events").fetchall()
        spool.close()
        return [json.loads(row[0]) for row in rows]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("drivers")
    home = folder / "home"
    home.mkdir(mode=0o700)
    store = FileSecrets(home / "secrets")
    store.create("admin-key")
    store.add("admin-key", b"sk-admin-1")
    with Webhook() as webhook, OpenAIAdmin() as openai:
        webhook.store = store
        policy = folder / "policy.yaml"
        policy.write_text(f"""
secrets:
  per_secret:
    hook-key: {{driver: {{kind: webhook, url: "{webhook.origin}/keys", signing_secret: hook}}}}
    openai-key:
      driver: {{kind: openai_project, project: proj_abc, admin_secret: admin-key, base_url: "{openai.origin}/v1"}}
    their-key: {{driver: {{kind: remind}}}}
""")
        with FunctionProcess("rotate_secrets", home, {"WARDGATE_POLICY": str(policy)}) as function:
            yield World(function, home, webhook, openai)


@pytest.fixture(autouse=True)
def own_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WARDGATE_DOCUMENTS", "WARDGATE_SECRETS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WARDGATE_ENV", "development")
    monkeypatch.setenv("WARDGATE_HOME", str(world.home))
    monkeypatch.setenv("WARDGATE_POLICY", str(world.home.parent / "policy.yaml"))


def test_the_first_call_makes_every_key_at_its_provider(world: World) -> None:
    results = world.run()
    assert {results[name] for name in ("hook", "hook-key", "openai-key")} == {"promoted"}
    assert (len(world.webhook.keys), len(world.openai.keys)) == (1, 1)
    (told,) = world.told()
    assert (told["event"], told["secret"], told["status"]) == ("rotation.overdue", "their-key", "missing")


def test_a_key_that_leaked_ends_with_the_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for name, server in (("hook-key", world.webhook), ("openai-key", world.openai)):
        leaked = server.values[-1]
        assert server.accepts(leaked)
        assert main(["rotate", "run", "--now", "--revoke-immediately", "--secret", name, "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["result"], row["state"]) == ("promoted", "DISABLED")
        assert not server.accepts(leaked)
        assert server.accepts(FileSecrets(world.home / "secrets").access(name, 2).reveal().decode())
        assert main(["rotate", "history", "--secret", name, "--json"]) == 0
        events = [row["event"] for row in json.loads(capsys.readouterr().out)]
        assert events[-3:] == ["stored", "promoted", "disabled"]


def order(world: World, body: Any, method: str = "POST") -> tuple[int, Any]:
    answer = HTTP.request(method, f"{world.function.url}/orders", json=body, timeout=60)
    return answer.status, answer.json()


def test_an_operator_who_may_read_no_secret_orders_it_from_the_function(world: World) -> None:
    leaked = world.webhook.values[-1]
    status, report = order(world, {"secret": "hook-key", "revoke_immediately": True})
    assert status == 200
    assert [(tick["secret"], tick["result"], tick["state"]) for tick in report["ticks"]] == [
        ("hook-key", "promoted", "DISABLED")
    ]
    assert not world.webhook.accepts(leaked)
    assert world.webhook.accepts(world.webhook.values[-1])
    for result in ("promoted", "in_grace"):
        _, report = order(world, {"secret": "api-key-pepper"})
        assert report["ticks"][0]["result"] == result


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"secret": "no-such"}, 404, "secret_not_found"),
        ({"secret": 1}, 400, "invalid_value"),
        ({"now": True}, 400, "unsupported_parameter"),
        ([], 400, "invalid_value"),
    ],
)
def test_what_is_no_order_is_refused(world: World, body: Any, status: int, code: str) -> None:
    made = len(world.webhook.values) + len(world.openai.values)
    refused, answer = order(world, body)
    assert (refused, answer["error"]["code"]) == (status, code)
    assert order(world, {}, "PUT")[0] == 405
    assert len(world.webhook.values) + len(world.openai.values) == made


def test_a_provider_that_fails_is_told_and_the_others_go_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.openai.admin_keys = ("sk-admin-of-others",)
    world.webhook.faults.extend([500] * 10)
    assert main(["rotate", "run", "--now", "--secret", "openai-key"]) == 1
    assert main(["rotate", "run", "--now", "--secret", "hook-key"]) == 1
    assert main(["rotate", "run", "--now", "--secret", "audit-pepper"]) == 0
    capsys.readouterr()
    world.webhook.faults.clear()
    world.run()
    assert main(["rotate", "status", "--json"]) == 1
    status = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert status["openai-key"]["last_failure"] == "ProviderRefused"
    assert status["openai-key"]["version"] == 2
    assert world.openai.accepts(FileSecrets(world.home / "secrets").access("openai-key", 2).reveal().decode())


def test_what_fails_on_the_schedule_is_on_the_alerts_topic_without_a_value(world: World) -> None:
    notification = {
        "message": {
            "attributes": {
                "eventType": "SECRET_ROTATE",
                "secretId": "projects/1/secrets/openai-key",
                "timestamp": "2099-01-01T00:00:00Z",
            }
        }
    }
    answer = HTTP.request("POST", f"{world.function.url}/notifications", json=notification, timeout=60)
    assert answer.status == 200
    told = [(alert["event"], alert["secret"]) for alert in world.told()]
    assert ("rotation.failed", "openai-key") in told
    assert ("rotation.aborted", "openai-key") in told
    shown = json.dumps(world.told()) + world.function.output
    assert "rotation.failed" in world.function.output
    assert not [value for value in (*world.webhook.values, *world.openai.values, "sk-admin") if value in shown]
