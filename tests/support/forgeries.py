"""Tokens that look like an issuer's and are not, or not to be believed all the same."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.issuer import OidcIssuer, signing_key


def b64(data: bytes | dict[str, Any]) -> str:
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    return f"{b64(header)}.{b64(claims)}.{b64(signature)}"


def mac_with(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token whose HMAC is keyed with something public."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def forgeries(issuer: OidcIssuer) -> dict[str, tuple[str, str]]:
    """Tokens that must not be believed, and the code that each is refused with."""
    key, claims, now = issuer.keys[0], issuer.claims(), int(time.time())
    public = key.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    other = signing_key("other")
    sound = issuer.token()
    head, body, signature = sound.split(".")
    admin = b64({**claims, "sub": "admin"})

    def header(**changes: Any) -> dict[str, Any]:
        return {"alg": "RS256", "typ": "JWT", "kid": key.kid, **changes}

    invalid = "invalid_token"
    return {
        **{
            f"alg {alg!r}": (unsigned(header(alg=alg), claims), invalid) for alg in ("none", "None", "NONE", "", "nOnE")
        },
        "alg null": (unsigned(header(alg=None), claims), invalid),
        "alg list": (unsigned(header(alg=["RS256"]), claims), invalid),
        "no alg": (unsigned({"kid": key.kid}, claims), invalid),
        "alg none, kept signature": (f"{b64(header(alg='none'))}.{body}.{signature}", invalid),
        "HMAC keyed with the public key as PEM": (mac_with(pem, header(alg="HS256"), claims), invalid),
        "… without its last line break": (mac_with(pem.strip(), header(alg="HS256"), claims), invalid),
        "HMAC keyed with the public key as DER": (mac_with(der, header(alg="HS256"), claims), invalid),
        "HMAC keyed with the JWK": (mac_with(json.dumps(key.jwk()).encode(), header(alg="HS256"), claims), invalid),
        "HMAC with an empty key": (mac_with(b"", header(alg="HS256"), claims), invalid),
        "another key under the issuer's key id": (other.sign(claims, kid=key.kid), invalid),
        "an unknown key id": (other.sign(claims), invalid),
        "a key id that is a path": (key.sign(claims, kid="../../../../dev/null"), invalid),
        "a key id that is a query": (key.sign(claims, kid="' OR '1'='1"), invalid),
        "another key without an id": (other.sign(claims, kid=None), invalid),
        "no key id that is one": (key.sign(claims, kid=""), invalid),
        "a key of its own": (other.sign(claims, kid=key.kid, jwk=other.jwk()), invalid),
        "a key elsewhere": (other.sign(claims, jku=f"{issuer.url}/evil", x5u=f"{issuer.url}/evil"), invalid),
        "critical extension": (key.sign(claims, crit=["b64"], b64=False), invalid),
        "another kind of token": (key.sign(claims, typ="logout+jwt"), invalid),
        "another algorithm of the same key": (signing_key(key.kid, "PS256").sign(claims), invalid),
        "zeros for a signature": (unsigned(header(alg="ES256"), claims, bytes(64)), invalid),
        "signature cut off": (f"{head}.{body}.", invalid),
        "signature removed": (f"{head}.{body}.SIGNATURE_REMOVED_BY_GOOGLE", invalid),
        "signature of other claims": (f"{head}.{admin}.{signature}", invalid),
        "signature with a bit turned": (f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}", invalid),
        "padding": (f"{sound}==", invalid),
        "a fourth part": (f"{sound}.x", invalid),
        "two parts": (f"{head}.{body}", invalid),
        "nested deeply": (f"{b64(b'[' * 2000)}.{body}.{signature}", invalid),
        "claims that are a list": (f"{head}.{b64(b'[]')}.{signature}", invalid),
        "no expiry": (issuer.token(exp=None), invalid),
        "an expiry in words": (issuer.token(exp="never"), invalid),
        "an expiry without end": (unsigned(header(), {**claims, "exp": float("inf")}), invalid),
        "expired": (issuer.token(exp=now - 60, iat=now - 3600), "expired_token"),
        "not valid yet": (issuer.token(nbf=now + 3600), "premature_token"),
        "issued in the future": (issuer.token(iat=now + 3600, exp=now + 7200), "premature_token"),
        "another audience": (issuer.token(aud="another"), "wrong_audience"),
        "other audiences": (issuer.token(aud=["another", "third"]), "wrong_audience"),
        "an audience in a list in a list": (issuer.token(aud=[["wardgate"]]), invalid),
        "audiences without end": (issuer.token(aud=["wardgate", *map(str, range(32))]), invalid),
        "part of the audience": (issuer.token(aud="ward"), "wrong_audience"),
        "no audience": (issuer.token(aud=None), invalid),
        "another issuer": (issuer.token(iss="https://evil.example"), "unknown_issuer"),
        "the issuer with a slash": (issuer.token(iss=issuer.url + "/"), "unknown_issuer"),
        "no subject": (issuer.token(sub=None), invalid),
        "an empty subject": (issuer.token(sub=""), invalid),
        "a subject with a line break": (issuer.token(sub="a\nb"), invalid),
        "a token too large": (issuer.token(padding="x" * 5300), "token_too_large"),
    }
