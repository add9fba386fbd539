"""A small OpenID Connect issuer: a real HTTP server with discovery and keys, whose tokens PyJWT signs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from shared.clock import Clock, SystemClock, seconds
from tests.support.loopback import Handler, LoopbackServer

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its id and the algorithm it signs with."""

    kid: str
    algorithm: str
    private: Any

    def jwk(self) -> dict[str, Any]:
        """The public half, as an issuer publishes it."""
        public = get_default_algorithms()[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        """A token with these claims; ``headers`` add to the JOSE header or, with None, take from it."""
        named = {"kid": self.kid, **headers}
        return jwt.encode(
            claims,
            self.private,
            self.algorithm,
            headers={name: value for name, value in named.items() if value is not None},
        )


@cache
def signing_key(kid: str, algorithm: str = "RS256") -> SigningKey:
    """A key by this id, the same one each time: making RSA keys takes long."""
    private: Any
    if algorithm.startswith("ES"):
        private = ec.generate_private_key(ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1())
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return SigningKey(kid, algorithm, private)


class OidcIssuer(LoopbackServer):
    """A context manager. ``url`` is the issuer's name; ``keys`` are those it signs with and publishes.

    Args:
        audience: The ``aud`` of its tokens.
        keys: The first one signs by default.
        clock: When its tokens begin.
    """

    def __init__(self, audience: str = "wardgate", *keys: SigningKey, clock: Clock | None = None) -> None:
        self.audience = audience
        self.clock = clock or SystemClock()
        self.keys = list(keys) or [signing_key("first")]
        self.requests: list[str] = []
        """Paths that were asked for."""

        self.pause_seconds = 0.0
        """How long each answer takes."""

        self.answers: dict[str, tuple[int, bytes]] = {}
        """Status and body to answer by path, in place of the true ones."""

        super().__init__(self._handler())
        self.url = self.origin
        self.keys_url = self.url + KEYS

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a sound token; a change to None takes a claim away."""
        now = int(seconds(self.clock))
        claims = {
            "iss": self.url,
            "aud": self.audience,
            "sub": "user-1",
            "iat": now,
            "exp": now + 3600,
            "email": "user@example.com",
            "email_verified": True,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changes: Any) -> str:
        """A token of the first key, sound but for ``changes`` to its claims."""
        return self.keys[0].sign(self.claims(**changes))

    def rotate(self, key: SigningKey) -> None:
        """Publish and sign with another key from now on; the old ones are withdrawn."""
        self.keys = [key]

    def fail(self, status: int = 503) -> None:
        """Answer every request with this status."""
        self.answers = dict.fromkeys((DISCOVERY, KEYS), (status, b"down"))

    def recover(self) -> None:
        """Answer truly again."""
        self.answers = {}

    def _answer(self, path: str) -> tuple[int, bytes]:
        documents: dict[str, Any] = {
            DISCOVERY: {"issuer": self.url, "jwks_uri": self.keys_url},
            KEYS: {"keys": [key.jwk() for key in self.keys]},
        }
        if path in self.answers:
            return self.answers[path]
        return (200, json.dumps(documents[path]).encode()) if path in documents else (404, b"")

    def _handler(issuer) -> type[Handler]:
        class IssuerHandler(Handler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                time.sleep(issuer.pause_seconds)
                self.send(*issuer._answer(self.path))

        return IssuerHandler
