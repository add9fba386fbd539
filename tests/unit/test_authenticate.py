"""From a request's headers to a caller, over API keys and OIDC tokens side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.datastructures import EnvironHeaders, Headers

from shared.errors import Unauthenticated
from shared.identity.api_keys import ApiKeys
from shared.identity.authenticate import Authenticator
from shared.identity.bearer import MAX_TOKEN_CHARACTERS
from shared.identity.oidc import OidcVerifier
from shared.policy.types import Issuer
from tests.support.issuer import OidcIssuer
from tests.support.key_store import CountedDocuments, VersionedPepper
from tests.support.virtual_time import ManualClock


class Doors:
    """An authenticator with both kinds of credential, and one that the policy gives no issuers."""

    def __init__(self, folder: Path, issuer: OidcIssuer, clock: ManualClock) -> None:
        self.issuer = issuer
        self.documents = CountedDocuments(folder / "documents.db")
        self.peppers = VersionedPepper()
        keys = ApiKeys(self.documents, self.peppers, clock)
        self.key = keys.create("acme", "a key").key
        self.documents.calls.clear()
        policy = Issuer(issuer=issuer.url, audience="wardgate", tenant="acme")
        self.both = Authenticator(keys, OidcVerifier([policy], clock))
        self.keys_only = Authenticator(keys)


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    clock = ManualClock()
    with OidcIssuer(clock=clock) as issuer:
        doors = Doors(tmp_path, issuer, clock)
        yield doors
        doors.documents.close()


def code(authenticator: Authenticator, header: str | None) -> str:
    headers = {} if header is None else {"authorization": header}
    with pytest.raises(Unauthenticated) as caught:
        authenticator.authenticate(headers)
    return caught.value.code


def test_either_credential_opens(doors: Doors) -> None:
    assert doors.both.authenticate({"authorization": f"Bearer {doors.key}"}).kind == "api_key"
    assert doors.both.authenticate({"authorization": f"bearer  {doors.issuer.token()} "}).kind == "oidc"
    assert doors.keys_only.authenticate({"authorization": f"BEARER {doors.key}"}).kind == "api_key"


def test_headers_as_flask_has_them(doors: Doors) -> None:
    bearer = f"Bearer {doors.key}"
    for headers in (EnvironHeaders({"HTTP_AUTHORIZATION": bearer}), Headers({"Authorization": bearer})):
        assert doors.both.authenticate(headers).tenant == "acme"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "missing_credentials"),
        ("", "invalid_credentials"),
        ("Bearer", "missing_credentials"),
        ("Bearer ", "missing_credentials"),
        ("KEY", "invalid_credentials"),
        ("Basic KEY", "invalid_credentials"),
        ("Bearer:KEY", "invalid_credentials"),
        ("Bearer\tKEY", "invalid_credentials"),
        ("Bearer KEY KEY", "invalid_api_key"),
        ("Bearer KEY,Bearer KEY", "invalid_api_key"),
        ("Bearer KEY, Bearer KEY", "invalid_api_key"),
        ("Bearer Bearer KEY", "invalid_api_key"),
        ("Bearer sk-proj-1", "invalid_api_key"),
        ("Bearer wg_" + "a" * MAX_TOKEN_CHARACTERS, "token_too_large"),
        ("a" * 1_000_000, "token_too_large"),
    ],
)
def test_headers_that_are_refused(doors: Doors, header: str | None, expected: str) -> None:
    assert code(doors.keys_only, header and header.replace("KEY", doors.key)) == expected
    assert not doors.documents.calls


@pytest.mark.parametrize("name", ["api-key", "x-api-key", "proxy-authorization", "x-serverless-authorization"])
def test_no_other_header_is_a_credential(doors: Doors, name: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        doors.both.authenticate({name: f"Bearer {doors.key}"})
    assert caught.value.code == "missing_credentials"


def test_tokens_are_refused_where_the_policy_names_no_issuer(doors: Doors) -> None:
    assert code(doors.keys_only, f"Bearer {doors.issuer.token()}") == "invalid_api_key"
    assert doors.issuer.requests == []


def test_a_token_that_is_too_large_is_not_looked_at(doors: Doors) -> None:
    token = doors.issuer.token(padding="a" * 8000)
    assert code(doors.both, f"Bearer {token}") == "token_too_large"
    assert doors.issuer.requests == []


def test_nobody_unknown_costs_a_read_or_a_write(doors: Doors) -> None:
    issuer = doors.issuer
    for token in (
        "wg_" + "a" * 24 + "_" + "a" * 40,
        doors.key[:20] + ("7" if doors.key[20] != "7" else "a") + doors.key[21:],
        doors.key[:-1],
        issuer.token(aud="another"),
        issuer.token(exp=1),
        issuer.token(iss="https://attacker.example"),
        issuer.token()[:-4],
        "not a token",
    ):
        code(doors.both, f"Bearer {token}")
    assert not doors.documents.calls
