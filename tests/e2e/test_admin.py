"""Keys by guard's admin route: whom it serves, what it leaves in the trail, and the command line that calls it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.cli import main
from shared.cli.deployment import read_deployment
from shared.cli.guard_admin import GuardAdmin
from shared.clock import SystemClock
from shared.errors import ApiError, ConfigurationError, ServiceUnavailable
from shared.identity.local_issuer import LocalIssuer
from shared.local.prepare import prepare
from shared.settings import load_settings
from shared.stores.connect import connect_documents
from tests.support.function_process import FunctionProcess
from tests.support.loopback import Handler, LoopbackServer
from tests.support.vertex_server import VertexServer

HTTP = urllib3.PoolManager(retries=False)
AUDIENCE = "https://my-project.wardgate/admin"
OPERATOR = "wardgate-operator@my-project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("admin") / "home"
    home.mkdir(mode=0o700)
    settings = load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(home)})
    prepare(settings)
    return home


@pytest.fixture(scope="module")
def guard(home: Path) -> Iterator[FunctionProcess]:
    accounts = f"{OPERATOR}, second-operator@my-project.iam.gserviceaccount.com"
    env = {"WARDGATE_ADMIN_AUDIENCE": AUDIENCE, "WARDGATE_ADMIN_ACCOUNTS": accounts}
    with FunctionProcess("guard", home, env) as running:
        yield running


def token(home: Path, account: str = OPERATOR, audience: str = AUDIENCE) -> str:
    return LocalIssuer(home / "identity", account, SystemClock()).mint(audience).token


def post(
    guard: FunctionProcess, credential: str | None, body: Any = None, path: str = "/admin/keys"
) -> urllib3.BaseHTTPResponse:
    headers = {} if credential is None else {"authorization": f"Bearer {credential}"}
    return HTTP.request("POST", f"{guard.url}{path}", json={} if body is None else body, headers=headers)


def code(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


def events(home: Path) -> list[str]:
    spool = sqlite3.connect(home / "spool.db")
    found = [bytes(row[0]).decode() for row in spool.execute("SELECT data FROM events")]
    spool.close()
    return found


def keys(home: Path) -> list[str]:
    documents = connect_documents(f"sqlite://{home}/documents.db")
    return [document.id for document in documents.list("keys") if document.fields["revoked_at"] is None]


# --- the route ------------------------------------------------------------------------------------


def test_an_operator_makes_a_key_that_opens_what_it_may(guard: FunctionProcess, home: Path) -> None:
    asked = {"tenant": "acme", "name": "frontend", "scopes": ["models"], "not_after": "2099-01-01T00:00:00Z"}
    answer = post(guard, token(home), asked)
    made = answer.json()
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    assert {name: made[name] for name in asked} == asked
    assert made["key"].split("_")[1] == made["id"]
    bearer = {"authorization": f"Bearer {made['key']}"}
    assert HTTP.request("GET", f"{guard.url}/v1/models", headers=bearer).status == 200
    assert code(HTTP.request("POST", f"{guard.url}/v1/scan", json={"text": "x"}, headers=bearer))[0] == 403
    assert made["key"] not in guard.output


def test_the_trail_says_who_made_which_key(guard: FunctionProcess, home: Path) -> None:
    made = post(guard, token(home)).json()
    (told,) = [event for event in events(home) if f"key:{made['id']}" in event]
    assert "keys.create" in told
    assert OPERATOR in told
    assert "id_token" in told
    assert made["key"] not in told


def test_an_operator_gives_a_key_another_secret(guard: FunctionProcess, home: Path) -> None:
    first = post(guard, token(home)).json()
    asked = {"id": first["id"], "grace_seconds": 3600}
    answer = post(guard, token(home), asked, path="/admin/keys/rotate")
    second = answer.json()
    assert (answer.status, second["id"], answer.headers["cache-control"]) == (200, first["id"], "no-store")
    for key in (first["key"], second["key"]):
        bearer = {"authorization": f"Bearer {key}"}
        assert HTTP.request("GET", f"{guard.url}/v1/models", headers=bearer).status == 200
    assert code(post(guard, token(home), asked, path="/admin/keys/rotate")) == (409, "in_grace")
    absent = {"id": "../x", "grace_seconds": 0}
    assert code(post(guard, token(home), absent, path="/admin/keys/rotate")) == (404, "key_not_found")
    assert code(post(guard, first["key"], asked, path="/admin/keys/rotate")) == (401, "invalid_token")
    told = [event for event in events(home) if f"key:{first['id']}" in event and "keys.rotate" in event]
    assert len(told) == 2, "what was refused was asked for, too"
    assert second["key"] not in "".join(events(home)) + guard.output


def test_a_key_whose_secrets_rotation_makes_has_none_yet(guard: FunctionProcess, home: Path) -> None:
    made = post(guard, token(home), {"by_rotation": True}).json()
    assert (made["by_rotation"], "key" in made) == (True, False)
    assert made["id"] in keys(home)


def test_it_is_for_operators_and_nobody_else(guard: FunctionProcess, home: Path) -> None:
    key = post(guard, token(home)).json()["key"]
    before = keys(home)
    assert code(post(guard, None)) == (401, "missing_credentials")
    assert code(post(guard, key)) == (401, "invalid_token")
    assert code(post(guard, "wg_a_b")) == (401, "invalid_token")
    assert code(post(guard, "not.a.token")) == (401, "invalid_token")
    assert code(post(guard, token(home, "guard@wardgate.local"))) == (403, "not_an_operator")
    assert code(post(guard, token(home, audience="http://127.0.0.1:8081"))) == (401, "wrong_audience")
    assert code(post(guard, token(home)[:-4] + "AAAA")) == (401, "invalid_token")
    serverless = {"X-Serverless-Authorization": f"Bearer {token(home)}"}
    assert HTTP.request("POST", f"{guard.url}/admin/keys", json={}, headers=serverless).status == 401
    assert keys(home) == before


def test_an_operators_token_opens_nothing_else(guard: FunctionProcess, home: Path) -> None:
    headers = {"authorization": f"Bearer {token(home)}"}
    assert HTTP.request("GET", f"{guard.url}/v1/models", headers=headers).status == 401


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"tenant": "NO SUCH"}, (400, "tenant")),
        ({"scopes": ["root"]}, (400, "scopes")),
        ({"scopes": []}, (400, "scopes")),
        ({"not_after": "2000-01-01T00:00:00Z"}, (400, "not_after")),
        ({"name": "a\nb"}, (400, "name")),
        ({"owner": "me"}, (400, None)),
        ([], (400, None)),
    ],
)
def test_a_wrong_wish_is_refused(
    guard: FunctionProcess, home: Path, body: Any, refusal: tuple[int, str | None]
) -> None:
    answer = post(guard, token(home), body)
    assert answer.status == refusal[0]
    if refusal[1] is not None:
        assert answer.json()["error"]["param"] == refusal[1]


def test_other_methods_other_sizes_and_browsers_are_refused(guard: FunctionProcess, home: Path) -> None:
    headers = {"authorization": f"Bearer {token(home)}"}
    assert HTTP.request("GET", f"{guard.url}/admin/keys", headers=headers).status == 405
    preflight = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    assert HTTP.request("OPTIONS", f"{guard.url}/admin/keys", headers=preflight).status == 405
    assert post(guard, token(home), {"name": "x" * 5000}).status == 413


def test_a_key_that_the_trail_does_not_take_is_not_given_out(guard: FunctionProcess, home: Path) -> None:
    before = keys(home)
    blocker = sqlite3.connect(home / "spool.db", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        answer = post(guard, token(home))
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert code(answer) == (503, "audit_unavailable")
    assert "wg_" not in answer.data.decode()
    assert keys(home) == before


def test_there_is_no_route_where_there_are_no_operators(home: Path, tmp_path: Path) -> None:
    with FunctionProcess("guard", home, log=tmp_path / "guard.log") as without:
        assert code(post(without, token(home))) == (401, "invalid_api_key")
        document = HTTP.request("GET", f"{without.url}/openapi.json").json()
        assert not any(path.startswith("/admin") for path in document["paths"])


# --- the command line -----------------------------------------------------------------------------


class IamCredentials(LoopbackServer):
    """``generateIdToken``, for whoever has an access token of the token endpoint."""

    def __init__(self, home: Path) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse = 0
        server = self

        class IamHandler(Handler):
            def do_POST(self) -> None:
                body = json.loads(self.body())
                server.asked.append((self.path, self.headers["authorization"], body))
                if server.refuse:
                    self.send(server.refuse, b'{"error": {"code": 403, "message": "Permission denied."}}')
                    return
                account = self.path.rpartition("/")[2].partition(":")[0]
                self.send(200, json.dumps({"token": token(home, account, body["audience"])}).encode())

        super().__init__(IamHandler)


@pytest.fixture
def iam(home: Path) -> Iterator[IamCredentials]:
    with IamCredentials(home) as running:
        yield running


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Application default credentials of an operator, with a token endpoint on the loopback."""
    with VertexServer() as running:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(running.credentials(tmp_path)))
        yield


def outputs(guard_url: str, **changes: Any) -> dict[str, Any]:
    value = {
        "documents": "firestore://my-project/wardgate",
        "events": "pubsub://my-project/wardgate-audit",
        "secrets": "secretmanager://my-project",
        "objects": "gs://my-project-wardgate-audit",
        "warehouse": "bigquery://my-project/wardgate/events",
        "alerts": "pubsub://my-project/wardgate-alerts",
        "signer": "kms://projects/my-project/locations/eu/keyRings/wardgate/cryptoKeys/audit/cryptoKeyVersions/1",
        "guard_url": guard_url,
        "admin_audience": AUDIENCE,
        "operator_account": OPERATOR,
        "dead_letters": {"archive": "projects/my-project/subscriptions/wardgate-archive-dead"},
        **changes,
    }
    return {"wardgate": {"sensitive": False, "type": "object", "value": value}, "other": {"value": 1}}


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command sets is this test's alone."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.fixture
def config(guard: FunctionProcess, tmp_path: Path) -> Path:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(outputs(guard.url)))
    return path


@pytest.mark.usefixtures("credentials", "own_environment")
def test_the_command_makes_a_key_through_guard(
    config: Path, iam: IamCredentials, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr("shared.cli.guard_admin.IAM_CREDENTIALS", iam.origin)
    arguments = ["--config", str(config), "keys", "create", "--tenant", "acme", "--name", "cli", "--json"]
    assert main([*arguments, "--expires", "30d"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["tenant"], made["name"], made["status"]) == ("acme", "cli", "active")
    assert made["id"] in keys(home)
    assert main(["--config", str(config), "keys", "rotate", made["id"], "--grace", "1h", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["id"], second["key"] == made["key"]) == (made["id"], False)
    assert main(["--config", str(config), "keys", "rotate", made["id"], "--revoke-immediately"]) == 0
    assert "shown this once" in capsys.readouterr().out
    assert main(["--config", str(config), "keys", "create", "--by-rotation"]) == 0
    assert "Rotation makes its secrets" in capsys.readouterr().out
    asked = iam.asked[0]
    assert asked[0] == f"/v1/projects/-/serviceAccounts/{OPERATOR}:generateIdToken"
    assert asked[2] == {"audience": AUDIENCE, "includeEmail": True}


@pytest.mark.usefixtures("credentials")
def test_who_may_not_act_as_the_operators_account_is_told_what_is_missing(config: Path, iam: IamCredentials) -> None:
    iam.refuse = 403
    with pytest.raises(ApiError, match="serviceAccountOpenIdTokenCreator"):
        GuardAdmin(read_deployment(config), iam.origin).create_key({})
    iam.refuse = 500
    with pytest.raises(ApiError, match=r"HTTP 500: Permission denied\."):
        GuardAdmin(read_deployment(config), iam.origin).create_key({})


@pytest.mark.usefixtures("credentials")
def test_what_guard_refuses_is_told_in_its_words(config: Path, iam: IamCredentials) -> None:
    with pytest.raises(ApiError, match="Guard refused with HTTP 400: A tenant is"):
        GuardAdmin(read_deployment(config), iam.origin).create_key({"tenant": "NO SUCH"})


@pytest.mark.usefixtures("credentials")
def test_a_guard_that_does_not_answer(tmp_path: Path, iam: IamCredentials) -> None:
    path = tmp_path / "gone.json"
    path.write_text(json.dumps(outputs("http://127.0.0.1:9")))
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        GuardAdmin(read_deployment(path), iam.origin).create_key({})


def test_without_credentials_the_command_says_how_to_get_them(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(ApiError, match="gcloud auth application-default login"):
        GuardAdmin(read_deployment(config), "http://127.0.0.1:9").create_key({})


# --- the file -------------------------------------------------------------------------------------


def test_the_file_sets_every_store_and_drops_what_was_set(config: Path) -> None:
    environ = {
        "WARDGATE_HOME": "/somewhere",
        "WARDGATE_POLICY": "policy.yaml",
        "WARDGATE_MODEL_URL": "http://127.0.0.1:8081",
        "UPSTREAM_URL": "http://127.0.0.1:1",
        "PATH": "/bin",
    }
    deployment = read_deployment(config)
    deployment.settle(environ)
    assert {"WARDGATE_POLICY", "PATH"} <= environ.keys()
    assert not {"WARDGATE_HOME", "WARDGATE_MODEL_URL", "UPSTREAM_URL"} & environ.keys()
    needs = {"documents", "events", "secrets", "objects", "warehouse", "alerts", "signer"}
    settings = load_settings(needs, environ)
    assert settings.environment == "production"
    assert {name: getattr(settings, name) for name in needs} == {name: getattr(deployment, name) for name in needs}


def test_the_key_of_sealed_prompts_is_known_where_there_is_one(tmp_path: Path) -> None:
    path, key = tmp_path / "outputs.json", "kms://projects/my-project/locations/eu/keyRings/wardgate/cryptoKeys/content"
    path.write_text(json.dumps(outputs("https://llm.example.com", content_key=key)))
    environ: dict[str, str] = {}
    read_deployment(path).settle(environ)
    assert environ["WARDGATE_CONTENT_KEY"] == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not what Terraform put out"),
        ("{}", "is not what Terraform put out .*wardgate"),
        (json.dumps(outputs("https://llm.example.com", documents=1)), r"is not what Terraform put out .*documents"),
        (json.dumps(outputs("http://llm.example.com")), "guard_url must be an https URL"),
        (json.dumps(outputs("llm.example.com")), "guard_url must be an https URL"),
    ],
)
def test_a_file_that_is_none_is_said_in_one_line(
    tmp_path: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=problem):
        read_deployment(path)
    assert main(["--config", str(path), "keys", "list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wardgate: --config: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_deployment(tmp_path / "missing.json")


@pytest.mark.usefixtures("own_environment")
def test_dead_letters_are_asked_for_by_their_sink(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(config), "audit", "dead-letters", "list"]) == 2
    assert "--subscription and one of archive" in capsys.readouterr().err
