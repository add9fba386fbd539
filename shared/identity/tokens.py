"""Signed tokens (JWT, RFC 7519): what may be believed of one, after the advice of RFC 8725.

The algorithm is never the token's choice: it must be one that is pinned for the issuer *and* one of the
key's own type. Keys come from the issuer alone; ``jku``, ``jwk``, ``x5u`` and ``x5c`` are not read. A token
without ``kid`` is believed only where its issuer has a single key for the algorithm. Times are checked by the process's
``Clock``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

from shared.errors import Unauthenticated
from shared.identity.base64url import base64url_decode
from shared.identity.jwks import Jwks
from shared.identity.jws import PublicKey

LEEWAY_SECONDS = 10
"""How far the clocks of issuer and process may be apart."""

_TYPES = frozenset({"jwt", "at+jwt"})
"""ID and access tokens. Others with the same claims, such as logout tokens, log nobody in."""

_MAX_SUBJECT = 255
"""OpenID Connect Core 1.0, section 2."""


_MAX_AUDIENCES = 32
"""Far more than issuers name; a token that is for everybody is for nobody."""


class Header(Struct):
    """The members of the JOSE header that are read."""

    alg: str
    kid: str | UnsetType = UNSET
    typ: str = "JWT"
    crit: Any | UnsetType = UNSET


class Claims(Struct):
    """The claims that are read. Times are seconds since the Unix epoch."""

    iss: str
    sub: str
    aud: str | Annotated[tuple[str, ...], Meta(max_length=_MAX_AUDIENCES)]
    exp: float
    iat: float | UnsetType = UNSET
    nbf: float | UnsetType = UNSET
    email: Any = None
    email_verified: Any = None


class UnverifiedToken(Struct, frozen=True):
    """A token, taken apart. Nothing in it is to be believed yet."""

    header: Header
    claims: Claims
    signed: bytes
    signature: bytes


class Trust(Struct, frozen=True):
    """Which tokens are believed: whose, for whom, and signed how."""

    issuers: Collection[str]
    """The spellings of the issuer's name."""

    audience: str
    """One of those that the token is meant for (RFC 7519, section 4.1.3)."""

    algorithms: Collection[str]
    keys: Jwks


_decode_header = Decoder(Header).decode
_decode_claims = Decoder(Claims).decode


def parse_token(token: str) -> UnverifiedToken:
    """Take a token apart; it is one that ``bearer_token`` gave, and so of bounded size.

    Raises:
        Unauthenticated: ``invalid_token``.
    """
    try:
        signed, _, signature = token.rpartition(".")
        header, _, claims = signed.partition(".")
        return UnverifiedToken(
            _decode_header(base64url_decode(header)),
            _decode_claims(base64url_decode(claims)),
            signed.encode("ascii"),
            base64url_decode(signature),
        )
    except (ValueError, RecursionError):
        # Not chained: the cause may quote the token.
        raise invalid_token("it is malformed or lacks a claim") from None


def verify_token(token: UnverifiedToken, trust: Trust, now: float) -> Claims:
    """The claims of a token that may be believed.

    Whether a token has expired or is meant for somebody else is told only to those who hold a signed one.

    Args:
        token: The token, taken apart.
        trust: Which tokens are believed.
        now: Seconds since the Unix epoch.

    Raises:
        Unauthenticated: ``invalid_token``, ``unknown_issuer``, ``wrong_audience``, ``expired_token`` or
            ``premature_token``.
        ServiceUnavailable: ``issuer_unavailable``.
    """
    header, claims = token.header, token.claims
    if claims.iss not in trust.issuers:
        raise unknown_issuer()
    if header.alg not in trust.algorithms or header.crit is not UNSET or header.typ.lower() not in _TYPES:
        raise invalid_token("its header is not one that is accepted")
    if not _is_signed(token, trust.keys):
        raise invalid_token("its signature is not its issuer's")
    if trust.audience not in ((claims.aud,) if isinstance(claims.aud, str) else claims.aud):
        raise Unauthenticated("The token is meant for another audience.", code="wrong_audience")
    if claims.exp <= now - LEEWAY_SECONDS:
        raise Unauthenticated("The token has expired.", code="expired_token")
    if max(_moment(claims.iat), _moment(claims.nbf)) > now + LEEWAY_SECONDS:
        raise Unauthenticated("The token is not valid yet.", code="premature_token")
    if not 1 <= len(claims.sub) <= _MAX_SUBJECT or not claims.sub.isprintable():
        raise invalid_token("its subject is not one that is accepted")
    return claims


def invalid_token(reason: str) -> Unauthenticated:
    """The error for a token that is not believed; ``reason`` ends the sentence."""
    return Unauthenticated(f"The token is not valid: {reason}.", code="invalid_token")


def unknown_issuer() -> Unauthenticated:
    """The error for a token of an issuer that is not trusted."""
    return Unauthenticated("The token's issuer is not one that is trusted.", code="unknown_issuer")


def _is_signed(token: UnverifiedToken, keys: Jwks) -> bool:
    header = token.header

    def verifies(key: PublicKey) -> bool:
        return key.verifies(header.alg, token.signed, token.signature)

    key = keys.find(header.kid) if isinstance(header.kid, str) else keys.only(header.alg, verifies)
    return key is not None and verifies(key)


def _moment(time: float | UnsetType) -> float:
    return 0.0 if isinstance(time, UnsetType) else time
