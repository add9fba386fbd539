"""OIDC tokens of a real issuer, sound ones and every attack on them that we know."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from shared.errors import ConfigurationError, ServiceUnavailable, Unauthenticated
from shared.identity.oidc import OidcVerifier
from shared.policy.types import Issuer
from tests.support.issuer import DISCOVERY, KEYS, OidcIssuer, SigningKey, signing_key
from tests.support.virtual_time import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[OidcIssuer]:
    with OidcIssuer(clock=clock) as issuer:
        yield issuer


def policy_of(issuer: OidcIssuer, **changes: Any) -> Issuer:
    return Issuer(**{"issuer": issuer.url, "audience": "wardgate", "tenant": "acme", **changes})


@pytest.fixture
def oidc(issuer: OidcIssuer, clock: ManualClock) -> OidcVerifier:
    return OidcVerifier([policy_of(issuer)], clock)


def code(oidc: OidcVerifier, token: str) -> str:
    """The code that a token is refused with; the error must not repeat it."""
    with pytest.raises(Unauthenticated) as caught:
        oidc.authenticate(token)
    assert caught.value.status == 401
    assert caught.value.headers["www-authenticate"] == "Bearer"
    for part in (part for part in token.split(".") if len(part) > 8):
        assert part not in str(caught.value)
    return caught.value.code


def segment(part: Any) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def joined(header: Any, claims: Any) -> str:
    """A token with a signature of three bytes."""
    return f"{segment(header)}.{segment(claims)}.AAAA"


def test_a_token_names_its_holder(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    caller = oidc.authenticate(issuer.token(sub="alice"))
    assert (caller.tenant, caller.kind, caller.user) == ("acme", "oidc", "alice")
    assert caller.scopes == {"chat", "scan", "models"}
    assert caller.key_id.startswith("oidc_")
    assert "alice" not in caller.key_id
    assert oidc.authenticate(issuer.token(sub="alice", jti="another")).key_id == caller.key_id
    assert oidc.authenticate(issuer.token(sub="bob")).key_id != caller.key_id


def test_the_id_of_a_holder_is_what_the_documentation_says(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    """Operators compute it, to switch somebody off who has not called yet."""
    digest = hashlib.sha256(f"{issuer.url}\0alice".encode()).hexdigest()
    assert oidc.authenticate(issuer.token(sub="alice")).key_id == f"oidc_{digest[:32]}"


def test_one_discovery_and_one_fetch_serve_many_tokens(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    for number in range(5):
        oidc.authenticate(issuer.token(sub=str(number)))
    assert issuer.requests == [DISCOVERY, KEYS]


def test_a_named_key_address_needs_no_discovery(issuer: OidcIssuer, clock: ManualClock) -> None:
    OidcVerifier([policy_of(issuer, jwks_url=issuer.keys_url)], clock).authenticate(issuer.token())
    assert issuer.requests == [KEYS]


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
def test_every_algorithm_of_the_policy(algorithm: str, clock: ManualClock) -> None:
    with OidcIssuer("wardgate", signing_key(f"key {algorithm}", algorithm), clock=clock) as issuer:
        oidc = OidcVerifier([policy_of(issuer, algorithms=[algorithm])], clock)
        assert oidc.authenticate(issuer.token()).tenant == "acme"
        others = [name for name in ("RS256", "ES256") if name != algorithm]
        pinned_to_others = OidcVerifier([policy_of(issuer, algorithms=others)], clock)
        assert code(pinned_to_others, issuer.token()) == "invalid_token"


def test_alg_none(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    kid = issuer.keys[0].kid
    for name in ("none", "None", "NONE", "nOnE", ""):
        unsigned = f"{segment({'alg': name, 'kid': kid})}.{segment(issuer.claims())}."
        assert code(oidc, unsigned) == "invalid_token"
        assert code(oidc, unsigned + issuer.token().rpartition(".")[2]) == "invalid_token"


def test_a_public_key_is_no_hmac_secret(issuer: OidcIssuer, clock: ManualClock) -> None:
    """RS/HS confusion, with every form of the public key that a library has ever taken for a secret."""
    public = issuer.keys[0].private.public_key()
    encodings = [
        public.public_bytes(encoding, form)
        for encoding, form in (
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        )
    ]
    encodings.append(issuer.keys[0].jwk()["n"].encode())
    oidc = OidcVerifier([policy_of(issuer)], clock)
    for secret in encodings:
        signed = f"{segment({'alg': 'HS256', 'kid': issuer.keys[0].kid, 'typ': 'JWT'})}.{segment(issuer.claims())}"
        signature = hmac.digest(secret, signed.encode(), hashlib.sha256)
        assert code(oidc, f"{signed}.{segment(signature)}") == "invalid_token"


def test_a_key_set_with_a_symmetric_key_signs_nothing(issuer: OidcIssuer, clock: ManualClock) -> None:
    secret = b"s" * 32
    keys = {"keys": [{"kty": "oct", "kid": "first", "k": segment(secret), "alg": "HS256"}, signing_key("rsa").jwk()]}
    issuer.answers[KEYS] = (200, json.dumps(keys).encode())
    signed = f"{segment({'alg': 'HS256', 'kid': 'first'})}.{segment(issuer.claims())}"
    token = f"{signed}.{segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
    assert code(OidcVerifier([policy_of(issuer)], clock), token) == "invalid_token"


def test_a_key_is_used_with_the_algorithm_it_names(issuer: OidcIssuer, clock: ManualClock) -> None:
    key = signing_key("first")
    oidc = OidcVerifier([policy_of(issuer, algorithms=["RS256", "RS512", "PS256"])], clock)
    other = SigningKey(key.kid, "RS512", key.private)
    assert code(oidc, other.sign(issuer.claims())) == "invalid_token"
    oidc.authenticate(key.sign(issuer.claims()))


def test_keys_in_the_token_are_not_read(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    mine = signing_key("attacker")
    with OidcIssuer("wardgate", mine) as attacker:
        for headers in (
            {"jwk": mine.jwk()},
            {"jku": attacker.keys_url},
            {"x5u": attacker.keys_url},
            {"x5c": ["MII"]},
            {"jku": attacker.keys_url, "kid": issuer.keys[0].kid},
            {"jwk": mine.jwk(), "kid": issuer.keys[0].kid},
        ):
            assert code(oidc, mine.sign(issuer.claims(), **headers)) == "invalid_token"
        assert attacker.requests == []


def test_critical_headers_are_refused(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    for crit in (["exp"], ["b64"], [], None):
        header = {"alg": "RS256", "kid": issuer.keys[0].kid, "crit": crit, "b64": True, "exp": 1}
        signed = f"{segment(header)}.{segment(issuer.claims())}"
        signature = signature_of(issuer.keys[0], signed)
        assert code(oidc, f"{signed}.{segment(signature)}") == "invalid_token"


def signature_of(key: SigningKey, signed: str) -> bytes:
    from jwt.algorithms import get_default_algorithms

    return get_default_algorithms()[key.algorithm].sign(signed.encode(), key.private)


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE"])
def test_other_kinds_of_token_log_nobody_in(oidc: OidcVerifier, issuer: OidcIssuer, typ: str) -> None:
    assert code(oidc, issuer.keys[0].sign(issuer.claims(), typ=typ)) == "invalid_token"


def test_access_tokens_are_accepted(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    token = issuer.keys[0].sign(issuer.claims(sub="alice"), typ="at+jwt")
    assert oidc.authenticate(token).user == "alice"


def test_a_changed_token_is_refused(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    header, _, signature = issuer.token().split(".")
    assert code(oidc, f"{header}.{segment(issuer.claims(sub='root'))}.{signature}") == "invalid_token"
    assert code(oidc, f"{header}.{segment(issuer.claims())}.") == "invalid_token"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aud": "another"}, "wrong_audience"),
        ({"aud": ["another", "third"]}, "wrong_audience"),
        ({"aud": ["wardgate", 1]}, "invalid_token"),
        ({"aud": ["wardgate", None]}, "invalid_token"),
        ({"aud": ["wardgate"] * 33}, "invalid_token"),
        ({"aud": ["wardgate another"]}, "wrong_audience"),
        ({"aud": []}, "wrong_audience"),
        ({"aud": ""}, "wrong_audience"),
        ({"aud": "wardgat"}, "wrong_audience"),
        ({"aud": None}, "invalid_token"),
        ({"aud": 1}, "invalid_token"),
        ({"aud": {"wardgate": 1}}, "invalid_token"),
        ({"iss": "https://attacker.example"}, "unknown_issuer"),
        ({"iss": ""}, "unknown_issuer"),
        ({"iss": None}, "invalid_token"),
        ({"exp": None}, "invalid_token"),
        ({"exp": "9999999999"}, "invalid_token"),
        ({"exp": True}, "invalid_token"),
        ({"exp": 10**400}, "invalid_token"),
        ({"exp": 0}, "expired_token"),
        ({"exp": -1}, "expired_token"),
        ({"iat": "now"}, "invalid_token"),
        ({"nbf": []}, "invalid_token"),
        ({"sub": None}, "invalid_token"),
        ({"sub": 7}, "invalid_token"),
        ({"sub": ""}, "invalid_token"),
        ({"sub": "a" * 256}, "invalid_token"),
        ({"sub": "a\nb"}, "invalid_token"),
        ({"sub": "a\0b"}, "invalid_token"),
    ],
)
def test_claims_that_are_not_accepted(
    oidc: OidcVerifier, issuer: OidcIssuer, changes: dict[str, Any], expected: str
) -> None:
    assert code(oidc, issuer.token(**changes)) == expected


@pytest.mark.parametrize(
    "audiences", [["wardgate"], ["wardgate", "another"], ["another", "wardgate"], [*map(str, range(31)), "wardgate"]]
)
def test_an_audience_among_others(oidc: OidcVerifier, issuer: OidcIssuer, audiences: list[str]) -> None:
    assert oidc.authenticate(issuer.token(sub="alice", aud=audiences)).user == "alice"


def test_a_token_without_key_id_of_an_issuer_with_one_key(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    oidc.authenticate(issuer.keys[0].sign(issuer.claims(), kid=None))
    assert code(oidc, signing_key("attacker").sign(issuer.claims(), kid=None)) == "invalid_token"


def test_neither_token_nor_key_has_an_id(issuer: OidcIssuer, clock: ManualClock) -> None:
    jwk = {name: value for name, value in issuer.keys[0].jwk().items() if name != "kid"}
    issuer.answers[KEYS] = (200, json.dumps({"keys": [jwk]}).encode())
    oidc = OidcVerifier([policy_of(issuer)], clock)
    oidc.authenticate(issuer.keys[0].sign(issuer.claims(), kid=None))
    assert code(oidc, issuer.token()) == "invalid_token"


def test_a_token_without_key_id_leaves_no_choice(issuer: OidcIssuer, clock: ManualClock) -> None:
    """One key for each of two algorithms is no choice; two for the same algorithm are, also under the same id."""
    rsa, curve, second = signing_key("first"), signing_key("ec", "ES256"), signing_key("second")
    policy = policy_of(issuer, algorithms=["RS256", "ES256"])
    issuer.keys = [rsa, curve]
    oidc = OidcVerifier([policy], clock)
    for key in issuer.keys:
        oidc.authenticate(key.sign(issuer.claims(), kid=None))
    for also in (second, SigningKey("first", "RS256", second.private)):
        issuer.keys = [rsa, curve, also]
        oidc = OidcVerifier([policy], clock)
        for key in (rsa, also):
            assert code(oidc, key.sign(issuer.claims(), kid=None)) == "invalid_token"
        oidc.authenticate(curve.sign(issuer.claims(), kid=None))


def test_a_new_key_without_ids_is_found_as_one_with_an_id_is(issuer: OidcIssuer, clock: ManualClock) -> None:
    oidc = OidcVerifier([policy_of(issuer, jwks_url=issuer.keys_url)], clock)
    old, new = issuer.keys[0], signing_key("second")
    oidc.authenticate(old.sign(issuer.claims(), kid=None))
    issuer.rotate(new)
    for _ in range(5):
        assert code(oidc, new.sign(issuer.claims(), kid=None)) == "invalid_token"
    assert issuer.requests == [KEYS]
    clock.advance(30)
    oidc.authenticate(new.sign(issuer.claims(), kid=None))
    assert code(oidc, old.sign(issuer.claims(), kid=None)) == "invalid_token"
    assert issuer.requests == [KEYS, KEYS]


def test_times_are_checked_by_our_clock(oidc: OidcVerifier, issuer: OidcIssuer, clock: ManualClock) -> None:
    now = clock.time_ns() // 10**9
    token = issuer.token(exp=now + 60)
    later = issuer.token(nbf=now + 60)
    issued_later = issuer.token(iat=now + 60)
    oidc.authenticate(token)
    assert code(oidc, later) == "premature_token"
    assert code(oidc, issued_later) == "premature_token"
    clock.advance(50)  # ten seconds' leeway
    oidc.authenticate(later)
    oidc.authenticate(issued_later)
    clock.advance(19)
    oidc.authenticate(token)
    clock.advance(1)
    assert code(oidc, token) == "expired_token"


def test_only_a_signed_token_is_told_that_it_has_expired(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    token = signing_key("attacker").sign(issuer.claims(exp=1, aud="another"), kid="first")
    assert code(oidc, token) == "invalid_token"


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_unverified_email_is_refused_where_the_policy_says_so(
    issuer: OidcIssuer, clock: ManualClock, verified: object
) -> None:
    strict = OidcVerifier([policy_of(issuer, require_verified_email=True)], clock)
    assert code(strict, issuer.token(email_verified=verified)) == "email_not_verified"
    strict.authenticate(issuer.token())
    OidcVerifier([policy_of(issuer)], clock).authenticate(issuer.token(email_verified=verified))


def test_no_issuer_signs_for_another(issuer: OidcIssuer, clock: ManualClock) -> None:
    """Both issuers are trusted, and the second one publishes its key under the first one's id."""
    with OidcIssuer("wardgate", SigningKey("first", "RS256", signing_key("second").private), clock=clock) as second:
        oidc = OidcVerifier([policy_of(issuer), policy_of(second, tenant="globex")], clock)
        assert oidc.authenticate(issuer.token()).tenant == "acme"
        assert oidc.authenticate(second.token()).tenant == "globex"
        assert code(oidc, second.keys[0].sign(issuer.claims())) == "invalid_token"
        assert code(oidc, issuer.keys[0].sign(second.claims())) == "invalid_token"
        same = {oidc.authenticate(each.token(sub="u")).key_id for each in (issuer, second)}
        assert len(same) == 2


def test_each_issuer_has_its_own_audience_and_algorithms(issuer: OidcIssuer, clock: ManualClock) -> None:
    with OidcIssuer("other", signing_key("ec", "ES256"), clock=clock) as second:
        second_policy = policy_of(second, audience="other", algorithms=["ES256"])
        oidc = OidcVerifier([policy_of(issuer), second_policy], clock)
        oidc.authenticate(second.token())
        assert code(oidc, issuer.token(aud="other")) == "wrong_audience"
        assert code(oidc, second.token(aud="wardgate")) == "wrong_audience"


def test_an_unknown_issuer_is_not_asked(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    with OidcIssuer() as attacker:
        assert code(oidc, attacker.token()) == "unknown_issuer"
        assert attacker.requests == []
    assert issuer.requests == []


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        "bm90IGpzb24.bm90IGpzb24.c2ln",
        joined({"alg": "RS256", "kid": "first"}, b"[]"),
        joined({"alg": "RS256", "kid": "first"}, b"[" * 3000 + b"]" * 3000),
        joined({"alg": "RS256", "kid": "first"}, b'{"a":' * 1000 + b"1" + b"}" * 1000),
        joined({"alg": "RS256"}, {}),
        joined({"alg": "RS256", "kid": None}, {}),
        joined({"alg": ["RS256"], "kid": "first"}, {}),
        joined({"alg": "RS256", "kid": {"first": 1}}, {}),
        joined(b"\xff\xfe", {}),
    ],
)
def test_what_is_no_token(oidc: OidcVerifier, issuer: OidcIssuer, token: str) -> None:
    assert code(oidc, token) == "invalid_token"
    assert issuer.requests == []


def test_each_token_has_one_spelling(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    token = issuer.token()
    for other in (token + "=", token + "==", token[:-1] + chr(ord(token[-1]) + 1), " " + token, token + "\n"):
        assert code(oidc, other) == "invalid_token"


def test_a_curve_signature_has_one_spelling(clock: ManualClock) -> None:
    with OidcIssuer("wardgate", signing_key("ec", "ES256"), clock=clock) as issuer:
        oidc = OidcVerifier([policy_of(issuer, algorithms=["ES256"])], clock)
        signed, _, encoded = issuer.token().rpartition(".")
        signature = base64.urlsafe_b64decode(encoded + "==")
        for other in (signature[:32] + b"\0" + signature[32:], signature + b"\0", signature[:63], b"\0" * 64, b""):
            assert code(oidc, f"{signed}.{segment(other)}") == "invalid_token"


def test_an_issuer_that_does_not_answer_is_no_verdict_on_the_token(oidc: OidcVerifier, issuer: OidcIssuer) -> None:
    issuer.fail()
    with pytest.raises(ServiceUnavailable) as caught:
        oidc.authenticate(issuer.token())
    assert (caught.value.status, caught.value.code) == (503, "issuer_unavailable")


@pytest.mark.parametrize("field", ["issuer", "jwks_url"])
def test_keys_are_not_fetched_in_clear_from_elsewhere(clock: ManualClock, field: str) -> None:
    changes = {"issuer": "https://issuer.example", field: "http://issuer.example/keys"}
    with pytest.raises(ConfigurationError):
        OidcVerifier([Issuer(audience="wardgate", tenant="acme", **changes)], clock)
