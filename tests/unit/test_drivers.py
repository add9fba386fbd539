"""What is special to each driver; what all have in common is in tests/contract/test_drivers.py."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from shared.clock import SystemClock
from shared.errors import SecretNotFound
from shared.policy.types import (
    GoogleApiKeyDriver,
    OpenAIProjectDriver,
    PolicyFile,
    WardgateKeyDriver,
    WebhookDriver,
)
from shared.rotation.drivers import provider_api
from shared.rotation.drivers.connect import connect_driver
from shared.rotation.drivers.google_api_key import GoogleApiKeys
from shared.rotation.drivers.google_token import GoogleToken
from shared.rotation.drivers.openai_project import OpenAIAccountKeys, OpenAIServiceAccounts
from shared.rotation.drivers.port import ProviderRefused, ProviderUnavailable
from shared.rotation.drivers.wardgate_key import WardgateKey
from shared.rotation.drivers.webhook import Webhook
from shared.rotation.machine import FOREVER, Order
from shared.rotation.service import RotationService
from shared.stores.file_secrets import FileSecrets
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.providers import GoogleKeys, KeyWebhook, OpenAIAdmin, is_signed
from tests.support.rotation import MemorySecrets
from tests.support.virtual_time import SECOND, ManualClock, VirtualDocuments

NOW = Order(before=FOREVER)


def admin_key(*, fresh: bool = False) -> Secret:
    return Secret(b"sk-admin-1")


# --- OpenAI ---------------------------------------------------------------------------------------


@pytest.fixture
def openai_admin() -> Iterator[OpenAIAdmin]:
    with OpenAIAdmin() as server:
        yield server


def openai_config(server: OpenAIAdmin, **fields: Any) -> OpenAIProjectDriver:
    return OpenAIProjectDriver(project="proj_abc", admin_secret="admin", base_url=f"{server.origin}/v1", **fields)


def test_the_server_of_these_tests_is_one_that_openais_own_client_understands(openai_admin: OpenAIAdmin) -> None:
    client = openai.OpenAI(
        api_key="sk-x", admin_api_key="sk-admin-1", base_url=f"{openai_admin.origin}/v1", max_retries=0
    )
    projects = client.admin.organization.projects
    made = projects.service_accounts.create("proj_abc", name="by the client")
    assert made.api_key is not None
    assert openai_admin.accepts(made.api_key.value)
    another = projects.service_accounts.api_keys.create(made.id, project_id="proj_abc", name="another")
    openai_admin.page_size = 1
    assert [one.name for one in projects.service_accounts.list("proj_abc")] == ["by the client"]
    owners = {key.id: key.owner.service_account for key in projects.api_keys.list("proj_abc")}
    owner = owners[another.id]
    assert owner is not None
    assert owner.id == made.id
    assert projects.api_keys.delete(another.id, project_id="proj_abc").deleted
    assert projects.service_accounts.delete(made.id, project_id="proj_abc").deleted
    client.close()


def test_an_admin_key_that_was_replaced_is_asked_for_once_more(openai_admin: OpenAIAdmin) -> None:
    asked: list[bool] = []

    def renewed(*, fresh: bool = False) -> Secret:
        asked.append(fresh)
        return Secret(b"sk-admin-2" if fresh else b"sk-admin-1")

    openai_admin.admin_keys = ("sk-admin-2",)
    OpenAIServiceAccounts(openai_config(openai_admin), renewed).create("wg-a")
    assert asked == [False, True]
    assert len(openai_admin.keys) == 1
    openai_admin.admin_keys = ("sk-admin-3",)
    with pytest.raises(ProviderRefused, match="401"):
        OpenAIServiceAccounts(openai_config(openai_admin), renewed).create("wg-b")


def test_an_admin_secret_that_holds_no_key_is_told_without_it(openai_admin: OpenAIAdmin) -> None:
    driver = OpenAIServiceAccounts(openai_config(openai_admin), lambda *, fresh=False: Secret("schlüssel".encode()))
    with pytest.raises(ProviderRefused, match="holds no key") as caught:
        driver.list()
    assert "schl" not in repr(caught.value)
    assert openai_admin.requests == []


def test_a_key_may_be_made_to_expire(openai_admin: OpenAIAdmin) -> None:
    OpenAIServiceAccounts(openai_config(openai_admin, lifetime_days=120), admin_key).create("wg-a")
    assert openai_admin.requests[-1].json == {"name": "wg-a", "expires_in_seconds": 120 * 86_400}
    OpenAIServiceAccounts(openai_config(openai_admin), admin_key).create("wg-b")
    assert openai_admin.requests[-1].json == {"name": "wg-b"}


def test_only_keys_of_the_account_are_listed(openai_admin: OpenAIAdmin) -> None:
    for account in ("svc_acct_abc", "svc_acct_other"):
        OpenAIAccountKeys(openai_config(openai_admin), account, admin_key).create(f"wg-{account[-3:]}")
    driver = OpenAIAccountKeys(openai_config(openai_admin), "svc_acct_abc", admin_key)
    assert [key.attempt_id for key in driver.list()] == ["wg-abc"]


# --- Google ---------------------------------------------------------------------------------------


@pytest.fixture
def google() -> Iterator[GoogleKeys]:
    with GoogleKeys() as server:
        yield server


def google_config(server: GoogleKeys, **fields: Any) -> GoogleApiKeyDriver:
    return GoogleApiKeyDriver(
        project="a-project", base_url=server.origin, test_url=f"{server.origin}/v1beta/models", **fields
    )


def token(*, fresh: bool = False) -> Secret:
    return Secret(b"token-2" if fresh else b"token-1")


def test_a_key_is_restricted_and_called_by_its_attempt(google: GoogleKeys) -> None:
    config = google_config(google, services=["a.googleapis.com", "b.googleapis.com"])
    made = GoogleApiKeys(config, token, poll_seconds=0.001).create("wg-attempt")
    assert made.reference == "wg-attempt"
    assert google.requests[0].json["restrictions"] == {
        "apiTargets": [{"service": "a.googleapis.com"}, {"service": "b.googleapis.com"}]
    }
    (listed,) = GoogleApiKeys(config, token).list()
    assert listed.created_at is not None
    assert listed.created_at // SECOND == 1_767_225_600


@pytest.mark.parametrize(("code", "kind"), [(7, ProviderRefused), (8, ProviderUnavailable), (14, ProviderUnavailable)])
def test_an_operation_that_fails_says_how(google: GoogleKeys, code: int, kind: type[Exception]) -> None:
    google.operation_error = {"code": code, "message": "sk-leaky"}
    with pytest.raises(kind, match=f"code {code}") as caught:
        GoogleApiKeys(google_config(google), token, poll_seconds=0.001).create("wg-a")
    assert "leaky" not in repr(caught.value)


def test_an_operation_that_takes_too_long_is_left(google: GoogleKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_api, "CALL_SECONDS", 0.1)
    google.looks = 10**6
    with pytest.raises(ProviderUnavailable):  # while it waits, or in the middle of a look
        GoogleApiKeys(google_config(google), token, poll_seconds=0.02).create("wg-a")


def test_an_operation_is_looked_at_nowhere_else(google: GoogleKeys) -> None:
    driver = GoogleApiKeys(google_config(google), token, poll_seconds=0.001)
    google.answer = lambda request: (200, {"name": "../../v2/secrets"})  # type: ignore[method-assign]
    with pytest.raises(ProviderUnavailable, match="no name"):
        driver.create("wg-a")
    assert len(google.requests) == 1


def test_a_token_that_is_refused_is_renewed_once(google: GoogleKeys) -> None:
    google.faults.append(401)
    GoogleApiKeys(google_config(google), token, poll_seconds=0.001).create("wg-a")
    assert [one.headers["authorization"] for one in google.requests[:2]] == ["Bearer token-1", "Bearer token-2"]
    google.faults.extend([401, 401])
    with pytest.raises(ProviderRefused, match="401"):
        GoogleApiKeys(google_config(google), token, poll_seconds=0.001).list()


def test_a_refusal_to_delete_is_no_deletion(google: GoogleKeys) -> None:
    driver = GoogleApiKeys(google_config(google), token, poll_seconds=0.001)
    driver.create("wg-a")
    google.faults.append(400)
    with pytest.raises(ProviderRefused, match="400"):
        driver.revoke("wg-a")
    assert "wg-a" in google.keys


def test_without_credentials_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(ProviderRefused, match="no application default credentials"):
        GoogleToken()()


# --- webhook ----------------------------------------------------------------------------------------


def webhook(server: KeyWebhook, *secrets: bytes) -> Webhook:
    config = WebhookDriver(url=f"{server.origin}/keys", signing_secret="signing")
    return Webhook(config, "a-key", lambda: [Secret(secret) for secret in secrets], SystemClock())


@pytest.mark.parametrize("known", [b"old" * 11, b"new" * 11])
def test_a_server_may_verify_with_either_secret_in_the_grace_period(known: bytes) -> None:
    with KeyWebhook([known]) as server:
        webhook(server, b"new" * 11, b"old" * 11).create("wg-a")
        assert server.requests[0].headers["webhook-signature"].count("v1,") == 2
        with pytest.raises(ProviderRefused, match="401"):
            webhook(server, b"x" * 33).list()


def test_a_secret_as_standard_webhooks_writes_it_down() -> None:
    with KeyWebhook([b"k" * 24]) as server:
        webhook(server, b"whsec_" + base64.b64encode(b"k" * 24) + b"\n").create("wg-a")
        with pytest.raises(ProviderRefused, match="no base64") as caught:
            webhook(server, b"whsec_no base64").create("wg-b")
    assert "whsec_no" not in repr(caught.value)


def test_each_request_is_signed_for_itself() -> None:
    with KeyWebhook([b"k" * 32]) as server:
        driver = webhook(server, b"k" * 32)
        driver.list()
        driver.list()
    first, second = server.requests
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert is_signed(first, [b"k" * 32], SystemClock())
    first.body += b" "
    assert not is_signed(first, [b"k" * 32], SystemClock())


@pytest.mark.parametrize(
    "answer", [{"value": "sk-1"}, {"value": "", "reference": "r"}, {"value": "a b", "reference": "r"}, {}, [], "x"]
)
def test_an_answer_without_a_key_is_none(answer: Any) -> None:
    with KeyWebhook([b"k" * 32]) as server:
        server.answer = lambda request: (200, answer)  # type: ignore[method-assign]
        with pytest.raises(ProviderUnavailable):
            webhook(server, b"k" * 32).create("wg-a")


@pytest.mark.parametrize("reference", ["", "r" * 513])
def test_a_key_that_could_not_be_revoked_is_not_taken(reference: str) -> None:
    with KeyWebhook([b"k" * 32]) as server:
        server.answer = lambda request: (200, {"value": "sk-1", "reference": reference})  # type: ignore[method-assign]
        with pytest.raises(ProviderRefused, match="no reference"):
            webhook(server, b"k" * 32).create("wg-a")


def test_the_signing_secret_rotates_by_itself_and_no_request_fails_meanwhile() -> None:
    clock = ManualClock()
    documents, store = VirtualDocuments(clock), MemorySecrets(clock)
    with KeyWebhook([]) as server:
        server.clock = clock
        driver = {"kind": "webhook", "url": f"{server.origin}/keys", "signing_secret": "hook-secret"}
        policy = msgspec.convert({"secrets": {"per_secret": {"a-key": {"driver": driver}}}}, PolicyFile)

        def service() -> RotationService:
            return RotationService(store, documents, policy, clock, log=lambda *_, **__: None)

        service().run(name="hook-secret")
        # The server reads the secret once, and keeps it for as long as the grace period lasts.
        server.signing_secrets = [store.access("hook-secret", 1).reveal()]
        assert [tick.result for tick in service().run(name="a-key").ticks] == ["promoted"]
        clock.advance(1)
        assert [tick.result for tick in service().run(NOW, "hook-secret").ticks] == ["promoted"]
        assert [tick.result for tick in service().run(NOW, "a-key").ticks] == ["promoted"]
        server.signing_secrets = [store.access("hook-secret", 2).reveal()]
        clock.advance(3601)
        assert [tick.state for tick in service().run(name="hook-secret").ticks] == ["DISABLED"]
        assert [tick.state for tick in service().run(name="a-key").ticks] == ["DISABLED"]
        assert len(server.keys) == 1


# --- from the policy --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (WardgateKeyDriver(key="a" * 24), WardgateKey),
        (OpenAIProjectDriver(project="proj_a", admin_secret="admin"), OpenAIServiceAccounts),
        (OpenAIProjectDriver(project="proj_a", admin_secret="admin", service_account="svc"), OpenAIAccountKeys),
        (GoogleApiKeyDriver(project="a-project"), GoogleApiKeys),
        (WebhookDriver(url="https://keys.example/", signing_secret="hook-secret"), Webhook),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_policy_names_the_driver(tmp_path: Path, config: Any, kind: type) -> None:
    documents, store = SqliteDocuments(tmp_path / "documents.db"), FileSecrets(tmp_path / "secrets")
    reader = SecretReader(store, documents, "production", {})
    driver = connect_driver(config, "a-key", documents, reader, SystemClock())
    assert type(driver) is kind
    assert (driver.mints, driver.lists) == (True, True)
    if isinstance(config, OpenAIProjectDriver):
        with pytest.raises(SecretNotFound):
            driver.list()
    documents.close()
