"""Upstreams that are signed in to without a key: by a Google ID token, or by what they give for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from openai.auth import WorkloadIdentityAuth

from shared.clock import SystemClock
from shared.errors import ServiceUnavailable
from shared.identity.google_identity import MetadataServer as MetadataTokens
from shared.identity.local_issuer import create_local_issuer, local_key_set
from shared.models.connect import LOCAL_SERVICE_ACCOUNT, connect_router
from shared.models.router import Router
from shared.models.upstreams.google_identity import TokenKey
from shared.models.upstreams.port import UpstreamFailure
from shared.policy.types import GoogleIdToken, PolicyFile
from shared.policy.types import TokenExchange as ExchangeConfig
from shared.settings import Settings, load_settings
from shared.stores.secrets import Secret
from tests.support.issuer import signing_key
from tests.support.metadata_server import MetadataServer
from tests.support.models import chat, context
from tests.support.openai_server import OpenAIServer, error
from tests.support.token_exchange import ACCOUNT, AUDIENCE, PROVIDER, TokenExchange
from tests.support.virtual_time import ManualClock

MODEL_ACCOUNT = "model@a-project.iam.gserviceaccount.com"


@pytest.fixture
def metadata() -> Iterator[MetadataServer]:
    with MetadataServer(signing_key("google"), MODEL_ACCOUNT) as server:
        yield server


@pytest.fixture
def exchange() -> Iterator[TokenExchange]:
    with TokenExchange(signing_key("google")) as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.now = SystemClock().time_ns()
    return clock


def own_model(metadata: MetadataServer, clock: ManualClock, audience: str = "https://llm.run.app") -> TokenKey:
    return TokenKey(GoogleIdToken(audience=audience), MetadataTokens(metadata.host), clock)


def federated(metadata: MetadataServer, exchange: TokenExchange, clock: ManualClock) -> TokenKey:
    config = ExchangeConfig(identity_provider=PROVIDER, service_account=ACCOUNT, url=exchange.url)
    return TokenKey(GoogleIdToken(audience=AUDIENCE, exchange=config), MetadataTokens(metadata.host), clock)


def text(token: Secret) -> str:
    return token.reveal().decode()


def test_the_id_token_is_for_the_audience_and_kept_until_shortly_before_its_end(
    metadata: MetadataServer, clock: ManualClock
) -> None:
    key = own_model(metadata, clock)
    tokens = {text(key()) for _ in range(5)}
    assert tokens == {metadata.token("https://llm.run.app")}
    assert len(metadata.calls) == 1
    clock.advance(3600 - 200)
    key()
    assert len(metadata.calls) == 2
    assert key.previous() is None


def test_a_token_that_was_given_for_it_is_kept_and_renewed(
    metadata: MetadataServer, exchange: TokenExchange, clock: ManualClock
) -> None:
    key = federated(metadata, exchange, clock)
    assert {text(key()) for _ in range(5)} == {exchange.given(1)}
    assert [claims["email"] for claims in exchange.exchanges] == [MODEL_ACCOUNT]
    clock.advance(1800 + 1400)
    assert text(key()) == exchange.given(2)
    clock.advance(11)
    assert text(key(fresh=True)) == exchange.given(3)
    assert text(key()) == exchange.given(3)


def test_the_exchange_of_these_tests_is_one_that_openais_own_client_understands(
    metadata: MetadataServer, exchange: TokenExchange
) -> None:
    auth = WorkloadIdentityAuth(
        workload_identity={
            "identity_provider_id": PROVIDER,
            "service_account_id": ACCOUNT,
            "provider": {"token_type": "id", "get_token": lambda: metadata.token(AUDIENCE)},
        },
        token_exchange_url=exchange.url,
    )
    assert auth.get_token() == exchange.given(1)


def test_a_token_that_cannot_be_renewed_now_serves_on(
    metadata: MetadataServer, exchange: TokenExchange, clock: ManualClock
) -> None:
    key = federated(metadata, exchange, clock)
    key()
    clock.advance(3400)
    exchange.answers.append((503, b""))
    assert text(key()) == exchange.given(1)
    clock.advance(6)
    assert text(key()) == exchange.given(2)


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ((401, b'{"error": "invalid_grant"}'), True),
        ((400, b"{}"), True),
        ((403, b""), True),
        ((500, b"ey-short"), False),
        ((302, b""), False),
        ((200, b"<html>"), False),
        ((200, b'{"access_token": "ey-short", "expires_in": 0}'), False),
        ((200, '{"access_token": "ey-shört", "expires_in": 60}'.encode()), False),
        ((200, b'{"access_token": "ey-short"}'), False),
    ],
)
def test_without_a_token_the_caller_is_told_and_no_token_is_repeated(
    metadata: MetadataServer,
    exchange: TokenExchange,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, bytes],
    final: bool,
) -> None:
    exchange.answers.append(answer)
    with pytest.raises(UpstreamFailure) as caught:
        federated(metadata, exchange, clock)()
    assert (caught.value.error.code, caught.value.final) == ("upstream_auth_failed", final)
    shown = repr(caught.value) + repr(caught.value.__cause__) + "".join(capsys.readouterr())
    assert "ey-sh" not in shown
    assert exchange.subjects[0] not in shown


def test_without_an_identity_nothing_is_exchanged(
    metadata: MetadataServer, exchange: TokenExchange, clock: ManualClock
) -> None:
    metadata.answer = b"no token"
    with pytest.raises(UpstreamFailure):
        federated(metadata, exchange, clock)()
    assert exchange.subjects == []


def test_another_audience_is_refused(metadata: MetadataServer, exchange: TokenExchange, clock: ManualClock) -> None:
    config = ExchangeConfig(identity_provider=PROVIDER, service_account=ACCOUNT, url=exchange.url)
    key = TokenKey(GoogleIdToken(audience="https://other", exchange=config), MetadataTokens(metadata.host), clock)
    with pytest.raises(UpstreamFailure):
        key()


# --- through the router, as the policy says ---------------------------------------------------------


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@contextmanager
def routing(file: PolicyFile, settings: Settings) -> Iterator[Router]:
    router = connect_router(file, settings)
    yield router
    for alias in router._aliases.values():
        for target in alias.targets:
            target.upstream.close()  # type: ignore[attr-defined]


def policy(auth: dict[str, Any], server: OpenAIServer) -> PolicyFile:
    tree = {
        "upstreams": {"own": {"kind": "openai", "base_url": server.url, "auth": auth}},
        "models": {"default": {"targets": [{"upstream": "own", "model": "m"}]}},
    }
    return msgspec.convert(tree, PolicyFile)


def test_a_local_model_sees_a_token_that_it_can_check(tmp_path: Path, server: OpenAIServer) -> None:
    settings = load_settings(environ={"WARDGATE_ENV": "development", "WARDGATE_HOME": str(tmp_path / "home")})
    (tmp_path / "home").mkdir(mode=0o700)
    folder = tmp_path / "home" / "identity"
    create_local_issuer(folder)
    auth = {"kind": "google_id_token", "audience": "https://llm.run.app"}
    with routing(policy(auth, server), settings) as router:
        for _ in range(2):
            router.complete(chat(), context())
    tokens = {sent.headers["authorization"].removeprefix("Bearer ") for sent in server.requests}
    (token,) = tokens
    (public,) = jwt.PyJWKSet.from_json(local_key_set(folder).read_text()).keys
    claims = jwt.decode(token, public.key, ["ES256"], audience="https://llm.run.app")
    assert claims["email"] == LOCAL_SERVICE_ACCOUNT


def test_on_google_cloud_the_token_is_exchanged_and_sent(
    metadata: MetadataServer,
    exchange: TokenExchange,
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", metadata.host)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    environ = {
        "WARDGATE_IDENTITY": "google://",
        "WARDGATE_DOCUMENTS": "firestore://a-project",
        "WARDGATE_SECRETS": "secretmanager://a-project",
    }
    settings = load_settings({"documents", "secrets", "identity"}, environ)
    given = {"identity_provider": PROVIDER, "service_account": ACCOUNT, "url": exchange.url}
    auth = {"kind": "google_id_token", "audience": AUDIENCE, "exchange": given}
    with routing(policy(auth, server), settings) as router:
        router.complete(chat(), context())
        list(router.stream(chat(stream=True), context()).answer)
        assert {sent.headers["authorization"] for sent in server.requests} == {f"Bearer {exchange.given(1)}"}
        server.script(error(401))
        with pytest.raises(ServiceUnavailable) as caught:
            router.complete(chat(), context())
    assert caught.value.code == "upstream_auth_failed"
