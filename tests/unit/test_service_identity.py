"""One function proves to another who it is: local issuer, metadata server, and what the called one believes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.clock import SystemClock
from shared.errors import ApiError, ConfigurationError, ServiceUnavailable
from shared.identity import google_identity, service_verifier
from shared.identity.jwks import Jwks
from shared.identity.local_issuer import LOCAL_ISSUER, create_local_issuer
from shared.identity.service import IdentityTokens, connect_identity
from shared.identity.service_verifier import GOOGLE_ISSUERS, ServiceVerifier, connect_verifier
from shared.identity.tokens import Trust
from tests.support.issuer import OidcIssuer, signing_key
from tests.support.metadata_server import MetadataServer
from tests.support.virtual_time import ManualClock

MODEL = "https://model.example"
GUARD = "guard@wardgate.local"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Local:
    """Guard and model on one folder."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        create_local_issuer(folder)
        self.uri = f"local://{folder}"
        self.clock = clock

    def tokens(self, account: str = GUARD) -> IdentityTokens:
        return connect_identity(self.uri, account, self.clock)

    def verifier(self, audience: str = MODEL) -> ServiceVerifier:
        return connect_verifier(self.uri, audience=audience, service_account=GUARD, clock=self.clock)


@pytest.fixture
def local(tmp_path: Path, clock: ManualClock) -> Local:
    return Local(tmp_path / "my identity", clock)


def lower(headers: dict[str, str]) -> dict[str, str]:
    """As a server sees them."""
    return {name.lower(): value for name, value in headers.items()}


def refusal(verifier: ServiceVerifier, headers: dict[str, str]) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        verifier.verify(lower(headers))
    return caught.value.status, caught.value.code


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_guard_may_call_model(local: Local) -> None:
    local.verifier().verify(lower(local.tokens().headers(MODEL)))


def test_the_token_goes_out_twice_once_as_cloud_run_hands_it_on(local: Local) -> None:
    headers = local.tokens().headers(MODEL)
    assert set(headers) == {"Authorization", "X-Serverless-Authorization"}
    whole, stripped = (headers[name].removeprefix("Bearer ") for name in headers)
    assert stripped == whole.rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"


def test_the_claims_are_googles(local: Local, clock: ManualClock) -> None:
    token = local.tokens().headers(MODEL)["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    now = clock.time_ns() // 10**9
    assert claims.pop("sub") == claims.pop("azp")
    assert claims == {
        "iss": LOCAL_ISSUER,
        "aud": MODEL,
        "email": GUARD,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
    }


def test_pyjwt_believes_the_local_issuer_too(tmp_path: Path) -> None:
    create_local_issuer(tmp_path / "identity")
    tokens = connect_identity(f"local://{tmp_path}/identity", GUARD)
    token = tokens.headers(MODEL)["Authorization"].removeprefix("Bearer ")
    keys = jwt.PyJWKSet.from_json((tmp_path / "identity" / "jwks.json").read_text())
    kid = jwt.get_unverified_header(token)["kid"]
    assert jwt.decode(token, keys[kid], algorithms=["ES256"], audience=MODEL)["email"] == GUARD


def test_a_stripped_token_is_no_evidence(local: Local) -> None:
    headers = lower(local.tokens().headers(MODEL))
    verifier = local.verifier()
    serverless = headers["x-serverless-authorization"]
    assert refusal(verifier, {"authorization": serverless}) == (401, "invalid_token")
    assert refusal(verifier, {"x-serverless-authorization": serverless}) == (401, "missing_credentials")
    whole = {"x-serverless-authorization": headers["authorization"]}
    assert refusal(verifier, whole) == (401, "missing_credentials")
    assert refusal(verifier, {**whole, "authorization": serverless}) == (401, "invalid_token")


def test_another_audience_and_another_account(local: Local) -> None:
    assert refusal(local.verifier(), local.tokens().headers("https://other.example")) == (401, "wrong_audience")
    assert refusal(local.verifier(MODEL + "/"), local.tokens().headers(MODEL)) == (401, "wrong_audience")
    other = local.tokens("intruder@wardgate.local").headers(MODEL)
    assert refusal(local.verifier(), other) == (403, "wrong_service_account")


def test_another_folders_key(local: Local, tmp_path: Path, clock: ManualClock) -> None:
    other = Local(tmp_path / "other", clock)
    assert refusal(local.verifier(), other.tokens().headers(MODEL)) == (401, "invalid_token")


def test_a_token_is_kept_until_shortly_before_it_expires(local: Local, clock: ManualClock) -> None:
    tokens, verifier = local.tokens(), local.verifier()
    first = tokens.headers(MODEL)
    assert tokens.headers("https://other.example") != first
    clock.advance(3374)
    assert tokens.headers(MODEL) == first
    verifier.verify(lower(first))
    clock.advance(1)
    second = tokens.headers(MODEL)
    assert second != first
    verifier.verify(lower(first))
    clock.advance(236)
    assert refusal(verifier, first) == (401, "expired_token")
    verifier.verify(lower(second))


def test_what_the_caller_does_to_the_headers_stays_with_the_caller(local: Local) -> None:
    tokens = local.tokens()
    tokens.headers(MODEL).clear()
    assert len(tokens.headers(MODEL)) == 2


def test_a_verified_token_is_known_again_but_not_one_like_it(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, headers = local.verifier(), lower(local.tokens().headers(MODEL))
    verifier.verify(headers)
    with monkeypatch.context() as watched:
        watched.setattr(service_verifier, "parse_token", lambda _: pytest.fail("checked again"))
        verifier.verify(headers)
    assert refusal(verifier, {"authorization": headers["authorization"][:-4] + "AAAA"}) == (401, "invalid_token")


def test_the_memory_of_verified_tokens_is_bounded(local: Local, clock: ManualClock) -> None:
    verifier, tokens = local.verifier(), local.tokens()
    for _ in range(100):
        clock.advance(3400)
        verifier.verify(lower(tokens.headers(MODEL)))
    assert len(verifier._verified) == 64


# --- the local issuer's folder ------------------------------------------------------------------


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "identity"
    create_local_issuer(folder)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(files) == {"key.json", "jwks.json"}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.iterdir())
    assert "d" not in json.loads(files["jwks.json"])["keys"][0]
    create_local_issuer(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files


def test_several_may_make_the_key_at_once(tmp_path: Path, clock: ManualClock) -> None:
    folder = tmp_path / "identity"
    threads = [threading.Thread(target=create_local_issuer, args=(folder,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    local = Local(folder, clock)
    local.verifier().verify(lower(local.tokens().headers(MODEL)))


def test_a_start_that_was_killed_halfway_is_made_good(tmp_path: Path, clock: ManualClock) -> None:
    folder = tmp_path / "identity"
    create_local_issuer(folder)
    (folder / "jwks.json").unlink()
    local = Local(folder, clock)
    local.verifier().verify(lower(local.tokens().headers(MODEL)))


def test_a_folder_without_a_key_or_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    with pytest.raises(ConfigurationError):
        connect_identity(f"local://{folder}", GUARD)
    create_local_issuer(folder)
    folder.chmod(0o755)
    for attempt in (lambda: connect_identity(f"local://{folder}", GUARD), lambda: create_local_issuer(folder)):
        with pytest.raises(ConfigurationError):
            attempt()


@pytest.mark.parametrize("uri", ["", "google", "files:///x", "https://accounts.google.com"])
def test_an_unknown_identity_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        connect_identity(uri, GUARD)
    with pytest.raises(ConfigurationError):
        connect_verifier(uri, audience=MODEL, service_account=GUARD)


# --- Google -------------------------------------------------------------------------------------


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataServer]:
    with MetadataServer(signing_key("google"), GUARD) as server:
        monkeypatch.setenv("GCE_METADATA_HOST", server.host)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setattr(google_identity, "_PAUSES_SECONDS", (0.01, 0.01))
        yield server


def google_verifier(issuer: OidcIssuer) -> ServiceVerifier:
    clock = SystemClock()
    keys = Jwks(clock, issuer.url, issuer.keys_url)
    return ServiceVerifier(Trust(GOOGLE_ISSUERS, MODEL, {"RS256"}, keys), GUARD, clock)


def test_the_metadata_servers_token_is_sent_in_both_headers(metadata: MetadataServer) -> None:
    tokens = connect_identity("google://", "")
    headers = tokens.headers(MODEL)
    assert headers["Authorization"] == headers["X-Serverless-Authorization"]
    assert tokens.headers(MODEL) == headers
    assert metadata.calls == [{"audience": [MODEL], "format": ["full"]}]
    with OidcIssuer(MODEL, signing_key("google")) as issuer:
        google_verifier(issuer).verify(lower(headers))


def test_the_metadata_server_is_asked_again_while_it_starts(metadata: MetadataServer) -> None:
    metadata.failures = 2
    connect_identity("google://", "").headers(MODEL)
    assert len(metadata.calls) == 3


@pytest.mark.parametrize("answer", [b"", b"not a token", b"a.b.c", b"a.e30.c", b"a.W10.c", b"\xff"])
def test_a_metadata_server_that_gives_no_token(metadata: MetadataServer, answer: bytes) -> None:
    metadata.answer = answer
    with pytest.raises(ServiceUnavailable) as caught:
        connect_identity("google://", "").headers(MODEL)
    assert (caught.value.status, caught.value.code) == (503, "identity_unavailable")


def test_the_old_token_serves_while_the_metadata_server_is_down(metadata: MetadataServer, clock: ManualClock) -> None:
    clock.now = time.time_ns()
    tokens = connect_identity("google://", "", clock)
    headers = tokens.headers(MODEL)
    metadata.failures = 1000
    clock.advance(3500)
    assert tokens.headers(MODEL) == headers
    clock.advance(80)
    with pytest.raises(ServiceUnavailable):
        tokens.headers(MODEL)


def test_many_threads_ask_the_metadata_server_once(metadata: MetadataServer) -> None:
    tokens = connect_identity("google://", "")
    seen: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda: seen.append(tokens.headers(MODEL))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 16
    assert len(metadata.calls) == 1


def test_google_auth_gets_the_same_token_from_the_metadata_server(
    metadata: MetadataServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our one request against what the official library asks for and makes of the answer."""
    import google.auth.compute_engine._metadata as library
    from google.auth.compute_engine import IDTokenCredentials
    from google.auth.transport.requests import Request

    monkeypatch.setattr(library, "_GCE_METADATA_HOST", metadata.host)
    credentials = IDTokenCredentials(None, MODEL, use_metadata_identity_endpoint=True, bind_id_token=False)
    credentials.refresh(Request())
    ours = connect_identity("google://", "").headers(MODEL)
    assert ours["Authorization"] == f"Bearer {credentials.token}"
    assert metadata.calls[0] == metadata.calls[1]


def test_application_default_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with MetadataServer(signing_key("google"), GUARD) as server:
        file = tmp_path / "credentials.json"
        account = {"client_email": GUARD, "private_key": pem, "token_uri": f"http://{server.host}/token"}
        file.write_text(json.dumps({"type": "service_account", **account}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        headers = connect_identity("google://", "").headers(MODEL)
        assert headers["Authorization"] == headers["X-Serverless-Authorization"]
        assertion = jwt.decode(
            server.assertions[0], key.public_key(), algorithms=["RS256"], options={"verify_aud": False}
        )
        assert assertion["target_audience"] == MODEL
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
        with pytest.raises(ServiceUnavailable) as caught:
            connect_identity("google://", "").headers(MODEL)
        assert caught.value.code == "identity_unavailable"


@pytest.mark.parametrize("spelling", sorted(GOOGLE_ISSUERS))
def test_google_spells_its_name_in_two_ways(spelling: str) -> None:
    with OidcIssuer(MODEL) as issuer:
        google_verifier(issuer).verify(bearer(issuer.token(iss=spelling, email=GUARD)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": "https://accounts.google.com.attacker.example"}, (401, "unknown_issuer")),
        ({"iss": LOCAL_ISSUER}, (401, "unknown_issuer")),
        ({"aud": "https://other.example"}, (401, "wrong_audience")),
        ({"exp": 1}, (401, "expired_token")),
        ({"email": "intruder@example.com"}, (403, "wrong_service_account")),
        ({"email": None}, (403, "wrong_service_account")),
        ({"email": [GUARD]}, (403, "wrong_service_account")),
        ({"email": GUARD.upper()}, (403, "wrong_service_account")),
        ({"email_verified": False}, (403, "wrong_service_account")),
        ({"email_verified": "true"}, (403, "wrong_service_account")),
        ({"email_verified": None}, (403, "wrong_service_account")),
    ],
)
def test_google_tokens_that_are_refused(changes: dict[str, Any], expected: tuple[int, str]) -> None:
    with OidcIssuer(MODEL) as issuer:
        token = issuer.token(**{"iss": "https://accounts.google.com", "email": GUARD, **changes})
        assert refusal(google_verifier(issuer), bearer(token)) == expected
