"""Properties of what strangers can reach: the key parser, tokens, key sets, forwarded addresses and the cap."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import RateLimited, Unauthenticated
from shared.identity.addresses import AddressCap, client_address
from shared.identity.api_keys import ApiKeys
from shared.identity.base64url import base64url_decode, base64url_encode
from shared.identity.expiring import ExpiringSet
from shared.identity.jws import PublicKey, read_key_set
from shared.identity.tokens import Trust, parse_token, verify_token
from tests.support.issuer import SigningKey, signing_key
from tests.support.key_store import CountedDocuments, VersionedPepper
from tests.support.virtual_time import ManualClock

# --- API keys -----------------------------------------------------------------------------------

KEY_LETTERS = "abcdefghijklmnopqrstuvwxyz234567_"


class OneKey:
    """A store that holds one key."""

    def __init__(self, folder: Path) -> None:
        self.documents = CountedDocuments(folder / "documents.db")
        self.keys = ApiKeys(self.documents, VersionedPepper(), ManualClock())
        self.key = self.keys.create("acme", "a key").key


@pytest.fixture(scope="module")
def one_key() -> Iterator[OneKey]:
    with tempfile.TemporaryDirectory() as folder:
        one_key = OneKey(Path(folder))
        yield one_key
        one_key.documents.close()


@given(data=st.data())
@settings(max_examples=200)
def test_only_the_key_itself_opens_and_only_its_id_is_read(one_key: OneKey, data: st.DataObject) -> None:
    changed = st.lists(
        st.tuples(st.integers(0, len(one_key.key)), st.integers(0, 2), st.text(KEY_LETTERS + "A é\0", max_size=2)),
        max_size=3,
    ).map(lambda edits: edited(one_key.key, edits))
    token = data.draw(st.one_of(changed, st.text(max_size=80), st.text(KEY_LETTERS).map("wg_".__add__)))
    one_key.documents.calls.clear()
    if token == one_key.key:
        assert one_key.keys.authenticate(token).tenant == "acme"
        return
    with pytest.raises(Unauthenticated) as caught:
        one_key.keys.authenticate(token)
    assert caught.value.code == "invalid_api_key"
    if token[:28] != one_key.key[:28]:
        assert not one_key.documents.calls
    assert not one_key.documents.calls["commit"]


def edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    """The text with some places cut and others put in."""
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    return text


# --- tokens -------------------------------------------------------------------------------------

NOW = 1_800_000_000
KEYS = [signing_key("rsa"), signing_key("ec", "ES256"), signing_key("ed", "EdDSA"), signing_key("pss", "PS256")]
SOUND = {"iss": "https://issuer.example", "aud": "wardgate", "sub": "user", "exp": NOW + 60}


class KnownKeys:
    """The keys of an issuer that needs no fetching."""

    def __init__(self) -> None:
        self.keys = read_key_set(json.dumps({"keys": [key.jwk() for key in KEYS]}).encode())
        self.find = self.keys.find

    def only(self, algorithm: str, suits: Callable[[PublicKey], bool]) -> PublicKey | None:
        return self.keys.only(algorithm)


TRUST = Trust({SOUND["iss"]}, "wardgate", {key.algorithm for key in KEYS}, KnownKeys())
JWT_KEYS = {key.kid: jwt.PyJWK(key.jwk()) for key in KEYS}


def ours(token: str) -> dict[str, Any] | None:
    try:
        claims = verify_token(parse_token(token), TRUST, NOW)
    except Unauthenticated:
        return None
    return {"iss": claims.iss, "sub": claims.sub, "exp": claims.exp}


def pyjwts(token: str) -> dict[str, Any] | None:
    """PyJWT's verdict; it reads the machine's clock, so times are left to the other tests."""
    try:
        key = JWT_KEYS[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience="wardgate",
            issuer=SOUND["iss"],
            options={"require": ["exp", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, KeyError):
        return None
    return {name: claims[name] for name in ("iss", "sub", "exp")}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_pyjwt_and_we_believe_the_same_sound_token(key: SigningKey) -> None:
    token = key.sign(SOUND)
    assert ours(token) == pyjwts(token) == {"iss": SOUND["iss"], "sub": "user", "exp": NOW + 60}


@given(
    key=st.sampled_from(KEYS),
    edits=st.lists(
        st.tuples(st.integers(0, 700), st.integers(0, 3), st.text("AZaz09-_.= ", max_size=3)), min_size=1, max_size=2
    ),
)
@settings(max_examples=150)
def test_a_changed_token_is_believed_by_neither(key: SigningKey, edits: list[tuple[int, int, str]]) -> None:
    token = key.sign(SOUND)
    changed = edited(token, edits)
    if changed != token:
        assert ours(changed) is None
        assert pyjwts(changed) is None or changed.rstrip("=") == token


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
AUDIENCES = st.just("wardgate") | st.lists(st.just("wardgate") | JSON, min_size=1, max_size=3)
CLAIMS = st.fixed_dictionaries(
    {"iss": st.just(SOUND["iss"]) | JSON, "aud": AUDIENCES | JSON},
    optional={"sub": st.just("user") | JSON, "exp": st.just(NOW + 60) | JSON, "iat": JSON, "nbf": JSON, "email": JSON},
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "typ": st.just("JWT") | st.text(max_size=4),
        "crit": st.just(["exp"]),
        "jku": st.text(max_size=8),
        "jwk": st.just(KEYS[0].jwk()),
    },
)


@given(key=st.sampled_from(KEYS), claims=CLAIMS, headers=HEADERS)
@settings(max_examples=150)
def test_whatever_an_issuer_signs_we_believe_no_more_than_pyjwt(
    key: SigningKey, claims: dict[str, Any], headers: dict[str, Any]
) -> None:
    """Signed as it stands: PyJWT's own encoder would refuse some of these claims."""
    token = jwt.api_jws.PyJWS().encode(
        json.dumps(claims).encode(), key.private, key.algorithm, headers={"kid": key.kid, **headers}
    )
    believed = ours(token)
    if believed is not None:
        assert believed == pyjwts(token)


@given(st.text(max_size=200) | st.text("AZaz09-_.=", max_size=200) | st.binary(max_size=200).map(base64url_encode))
@settings(max_examples=200)
def test_nothing_but_a_token_parses(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify_token(parse_token(text), TRUST, NOW)


@given(st.binary(max_size=64))
def test_base64url_is_its_own_inverse(data: bytes) -> None:
    assert base64url_decode(base64url_encode(data)) == data


@given(st.text(max_size=16) | st.text("ABab01-_+/= \n", max_size=16))
@settings(max_examples=200)
def test_base64url_has_one_spelling(text: str) -> None:
    try:
        data = base64url_decode(text)
    except ValueError:
        return
    assert base64url_encode(data) == text


@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps({"keys": value}).encode()))
@settings(max_examples=200)
def test_a_key_set_is_read_or_refused(document: bytes) -> None:
    try:
        assert read_key_set(document).keys == ()
    except ValueError:
        return


@given(
    st.lists(
        st.fixed_dictionaries(
            {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct"]), "kid": st.text(max_size=3)},
            optional={
                "crv": st.sampled_from(["P-256", "P-384", "Ed25519", "X"]),
                **{name: st.binary(max_size=300).map(base64url_encode) | st.text(max_size=3) for name in "nexy"},
            },
        ),
        max_size=3,
    )
)
@settings(max_examples=200)
def test_strange_keys_are_left_out(keys: list[dict[str, str]]) -> None:
    for key in read_key_set(json.dumps({"keys": keys}).encode()).keys:
        assert not key.verifies("RS256", b"signed", b"signature")
        assert not key.verifies("none", b"signed", b"")


# --- addresses ----------------------------------------------------------------------------------

ADDRESSES = st.ip_addresses()


@given(
    claimed=st.text(max_size=60) | st.lists(ADDRESSES.map(str)).map(", ".join),
    client=ADDRESSES,
    proxies=st.lists(ADDRESSES, max_size=4),
)
@settings(max_examples=200)
def test_no_claim_of_the_caller_changes_his_address(claimed: str, client: Any, proxies: list[Any]) -> None:
    """Each of our proxies appends the address it was called from; the caller may send anything before that."""
    header = ",".join([claimed, str(client), *map(str, proxies[:-1])])
    trusted = max(1, len(proxies))
    assert client_address("192.0.2.1", header, trusted) == client_address(str(client), None, 0)


@given(header=st.text("0123456789abcdef.:, ", max_size=80) | st.text(max_size=80), trusted=st.integers(0, 10))
@settings(max_examples=200)
def test_whatever_the_header_holds_the_result_is_an_address(header: str, trusted: int) -> None:
    address = client_address("192.0.2.1", header, trusted)
    network = ip_address(address.removesuffix("/64"))
    assert isinstance(network, IPv4Address) != address.endswith("/64")


MOVES = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 40, allow_nan=False)), max_size=60)


@given(per_minute=st.integers(1, 20), moves=MOVES)
@settings(max_examples=100)
def test_the_cap_is_a_token_bucket(per_minute: int, moves: list[tuple[str, float]]) -> None:
    """Against a bucket computed in real numbers: full at first, refilled at ``per_minute`` a minute."""
    clock = ManualClock()
    cap = AddressCap(per_minute, clock)
    tokens = {"a": float(per_minute), "b": float(per_minute)}
    for address, pause in moves:
        clock.advance(pause)
        tokens = {name: min(per_minute, left + pause * per_minute / 60) for name, left in tokens.items()}
        try:
            cap.count(address)
        except RateLimited as refused:
            assert tokens[address] < 1 + 1e-6
            wait = int(refused.headers["retry-after"])
            assert tokens[address] + wait * per_minute / 60 >= 1 - 1e-6
        else:
            assert tokens[address] > 1 - 1e-6
            tokens[address] -= 1


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0.01, 20), st.floats(0, 10)), max_size=40))
@settings(max_examples=100)
def test_an_expiring_set_forgets_but_never_invents(steps: list[tuple[int, float, float]]) -> None:
    clock = ManualClock()
    members: ExpiringSet[int] = ExpiringSet(4, clock)
    until: dict[int, int] = {}
    for member, seconds, pause in steps:
        members.add(member, seconds)
        until[member] = clock.time_ns() + int(seconds * 1e9)
        assert member in members
        clock.advance(pause)
        assert len(members) <= 4
        for known in range(7):
            assert known not in members or clock.time_ns() < until[known]
