"""An issuer's keys: fetched once, again for an unknown one, seldom for made-up ones, and kept while it is down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import ConfigurationError, ServiceUnavailable
from shared.identity import jwks as jwks_module
from shared.identity.fetch import fetch
from shared.identity.jwks import Jwks
from tests.support.issuer import DISCOVERY, KEYS, OidcIssuer, signing_key
from tests.support.virtual_time import ManualClock

KEY_SET = json.dumps({"keys": [signing_key("first").jwk()]}).encode()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    with OidcIssuer() as issuer:
        yield issuer


@pytest.fixture
def jwks(issuer: OidcIssuer, clock: ManualClock) -> Jwks:
    return Jwks(clock, issuer.url, issuer.keys_url)


def test_keys_are_fetched_at_first_use_and_once_an_hour(jwks: Jwks, issuer: OidcIssuer, clock: ManualClock) -> None:
    assert issuer.requests == []
    for _ in range(3):
        assert jwks.find("first") is not None
    assert issuer.requests == [KEYS]
    clock.advance(3599)
    jwks.find("first")
    assert issuer.requests == [KEYS]
    clock.advance(1)
    jwks.find("first")
    assert issuer.requests == [KEYS, KEYS]


def test_made_up_keys_do_not_hammer_the_issuer(jwks: Jwks, issuer: OidcIssuer, clock: ManualClock) -> None:
    for number in range(100):
        assert jwks.find(f"made up {number}") is None
        clock.advance(0.25)
    assert len(issuer.requests) == 1
    clock.advance(5)
    assert jwks.find("made up") is None
    assert len(issuer.requests) == 2
    assert jwks.find("first") is not None
    assert len(issuer.requests) == 2


def test_a_rotated_key_is_found(jwks: Jwks, issuer: OidcIssuer, clock: ManualClock) -> None:
    jwks.find("first")
    issuer.rotate(signing_key("second"))
    assert jwks.find("second") is None
    clock.advance(30)
    assert jwks.find("second") is not None
    assert jwks.find("first") is None


def test_last_known_keys_serve_for_a_day_while_the_issuer_is_down(
    jwks: Jwks, issuer: OidcIssuer, clock: ManualClock
) -> None:
    jwks.find("first")
    issuer.fail()
    for _ in range(23):
        clock.advance(3600)
        assert jwks.find("first") is not None
    tries = len(issuer.requests)
    for _ in range(10):
        jwks.find("first")
    assert len(issuer.requests) == tries
    clock.advance(3600)
    with pytest.raises(ServiceUnavailable):
        jwks.find("first")
    issuer.recover()
    clock.advance(5)
    assert jwks.find("first") is not None


def test_an_issuer_that_is_down_from_the_start_is_tried_every_five_seconds(
    jwks: Jwks, issuer: OidcIssuer, clock: ManualClock
) -> None:
    issuer.fail()
    for _ in range(10):
        with pytest.raises(ServiceUnavailable) as caught:
            jwks.find("first")
        assert caught.value.code == "issuer_unavailable"
    assert len(issuer.requests) == 1
    issuer.recover()
    clock.advance(5)
    assert jwks.find("first") is not None


def test_many_threads_fetch_once(jwks: Jwks, issuer: OidcIssuer) -> None:
    issuer.pause_seconds = 0.2
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(jwks.find("first") is not None)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 16
    assert issuer.requests == [KEYS]


def test_keys_found_by_discovery(issuer: OidcIssuer, clock: ManualClock) -> None:
    jwks = Jwks(clock, issuer.url)
    assert jwks.find("first") is not None
    assert issuer.requests == [DISCOVERY, KEYS]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://another.example", "jwks_uri": "KEYS"},
        {"issuer": "ISSUER/", "jwks_uri": "KEYS"},
        {"issuer": "ISSUER", "jwks_uri": "http://issuer.example/keys"},
        {"issuer": "ISSUER", "jwks_uri": "https://issuer.example/keys"},
        {"issuer": "ISSUER", "jwks_uri": "FILE"},
        {"issuer": "ISSUER", "jwks_uri": "http://[broken"},
        {"issuer": "ISSUER", "jwks_uri": ""},
        {"issuer": "ISSUER"},
        {"jwks_uri": "KEYS"},
        [],
    ],
)
def test_a_discovery_document_that_is_not_accepted(
    issuer: OidcIssuer, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: object
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [signing_key("first").jwk()]}))
    text = json.dumps(document)
    for name, url in (("ISSUER", issuer.url), ("KEYS", issuer.keys_url), ("FILE", file.as_uri())):
        text = text.replace(name, url)
    issuer.answers[DISCOVERY] = (200, text.encode())
    fetched: list[str] = []
    monkeypatch.setattr(jwks_module, "fetch", lambda url: (fetched.append(url), fetch(url))[1])
    with pytest.raises(ServiceUnavailable):
        Jwks(clock, issuer.url).find("first")
    assert fetched == [issuer.url + DISCOVERY]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"not json"),
        (200, b"[]"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}'),
        (200, json.dumps({"keys": [signing_key("first").jwk()] * 101}).encode()),
        (302, KEY_SET),
        (200, b" " * (256 * 1024 + 1)),
        (201, KEY_SET),
        (404, KEY_SET),
        (500, KEY_SET),
    ],
)
def test_a_key_set_that_is_not_accepted(jwks: Jwks, issuer: OidcIssuer, status: int, body: bytes) -> None:
    issuer.answers[KEYS] = (status, body)
    with pytest.raises(ServiceUnavailable):
        jwks.find("first")


def test_unusable_keys_are_left_out(jwks: Jwks, issuer: OidcIssuer) -> None:
    rsa, curve = signing_key("first").jwk(), signing_key("ec", "ES256").jwk()
    keys = [
        {**rsa, "kid": "encryption", "use": "enc"},
        {**rsa, "kid": "operations", "key_ops": ["encrypt"]},
        {**rsa, "kid": "foreign", "alg": "RSA-OAEP"},
        {**rsa, "kid": "short", "n": "3Q" * 64},
        {**rsa, "kid": "broken", "n": "!"},
        {**rsa, "kid": "even", "e": "AQAC"},
        {**rsa, "kid": 7},
        {**curve, "kid": "off the curve", "x": curve["y"]},
        {**curve, "kid": "unknown curve", "crv": "P-521"},
        {"kty": "OKP", "crv": "Ed448", "kid": "ed448", "x": "AAAA"},
        {"kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-44", "pub": "AAAA"},
        "no key",
        rsa,
        curve,
    ]
    issuer.answers[KEYS] = (200, json.dumps({"keys": keys}).encode())
    assert jwks.find("first") is not None
    assert jwks.find("ec") is not None
    for key in keys[:-3]:
        assert jwks.find(str(key.get("kid"))) is None, key
    assert jwks.only("RS256", lambda key: key.kid == "first") is not None


def test_keys_of_a_file(clock: ManualClock, tmp_path: Path) -> None:
    file = tmp_path / "keys with space.json"
    file.write_text(json.dumps({"keys": [signing_key("first").jwk()]}))
    assert Jwks(clock, "https://local", file.as_uri()).find("first") is not None
    with pytest.raises(ServiceUnavailable):
        Jwks(clock, "https://local", (tmp_path / "missing.json").as_uri()).find("first")


@pytest.mark.parametrize(
    "url", ["http://issuer.example/keys", "http://10.0.0.1/keys", "ftp://a/b", "keys", "http://[x"]
)
def test_addresses_that_keys_are_not_fetched_from(clock: ManualClock, url: str) -> None:
    with pytest.raises(ConfigurationError):
        Jwks(clock, "https://issuer.example", url)
