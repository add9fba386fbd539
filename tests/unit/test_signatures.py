"""Signatures that PyJWT makes hold, and nothing else does: another key, text, algorithm, length or kind of key."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from shared.identity.signatures import algorithms_of, is_signed, read_public_key

_PYJWT = get_default_algorithms()
_RSA, _OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
KEYS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256"), (_RSA, _OTHER_RSA)),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())),
    "ES384": (ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()),
}
"""For each algorithm two keys."""


def jwk_of(algorithm, private):
    return json.loads(_PYJWT[algorithm].to_jwk(private.public_key()))


def key_of(algorithm, private):
    key = read_public_key(jwk_of(algorithm, private))
    assert key is not None
    return key


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_signature_holds_for_its_own_key_text_and_algorithm_only(algorithm):
    private, other = KEYS[algorithm]
    key = key_of(algorithm, private)
    signature = _PYJWT[algorithm].sign(b"text", private)
    assert algorithm in algorithms_of(key)
    assert is_signed(key, algorithm, b"text", signature)
    assert not is_signed(key, algorithm, b"texT", signature)
    assert not is_signed(key_of(algorithm, other), algorithm, b"text", signature)
    for changed in (b"", signature[:-1], signature + b"\0", bytes([signature[0] ^ 1]) + signature[1:], b"\0" * 64):
        assert not is_signed(key, algorithm, b"text", changed)
    for another in set(KEYS) - {algorithm}:
        assert not is_signed(key, another, b"text", signature)


def test_a_key_fits_the_algorithms_of_its_kind_and_curve():
    fitting = {algorithm: algorithms_of(key_of(algorithm, KEYS[algorithm][0])) for algorithm in KEYS}
    assert fitting["RS256"] == ("RS256", "RS384", "RS512", "PS256")
    assert (fitting["ES256"], fitting["ES384"], fitting["EdDSA"]) == (("ES256",), ("ES384",), ("EdDSA",))


_POINT = jwk_of("ES256", KEYS["ES256"][0])
_MODULUS = jwk_of("RS256", _RSA)
_CURVE_25519 = jwk_of("EdDSA", KEYS["EdDSA"][0])


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"], "n": "AQAB", "e": "AQAB"},
        {**_POINT, "crv": "secp256k1"},
        {**_POINT, "crv": ["P-256"]},
        {**_POINT, "crv": "P-384"},
        {**_POINT, "x": _POINT["y"], "y": _POINT["x"]},
        {**_POINT, "x": "AA" + _POINT["x"]},
        {**_POINT, "y": None},
        {"kty": "EC", "crv": "P-256", "x": _POINT["x"]},
        jwk_of("RS256", rsa.generate_private_key(65537, 1024)),  # noqa: S505  # that is the point
        {**_MODULUS, "e": "AA"},
        {**_MODULUS, "e": "AQ"},
        {**_MODULUS, "n": _MODULUS["n"] + "="},
        {**_MODULUS, "n": "!"},
        {**_CURVE_25519, "crv": "X25519"},
        {**_CURVE_25519, "x": _CURVE_25519["x"][:-4]},
    ],
)
def test_what_is_no_strong_public_key_is_none(jwk):
    assert read_public_key(jwk) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(["crv", "n", "e", "x", "y", "k"]), _JSON | st.sampled_from(["P-256", "AQAB"])),
    st.sampled_from(["RSA", "EC", "OKP", "oct"]) | _JSON,
)
def test_reading_never_fails(jwk, kind):
    read_public_key({**jwk, "kty": kind})
