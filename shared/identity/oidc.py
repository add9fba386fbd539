"""OpenID Connect: callers who hold a token of an issuer that the policy names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from shared.clock import Clock, seconds
from shared.errors import Unauthenticated
from shared.identity.caller import Caller
from shared.identity.jwks import Jwks
from shared.identity.tokens import Trust, parse_token, unknown_issuer, verify_token
from shared.policy.types import Issuer


@dataclass(frozen=True, slots=True)
class _Trusted:
    issuer: Issuer
    trust: Trust


class OidcVerifier:
    """Authenticates callers by the tokens of several issuers.

    Each issuer has its own keys, so none can sign for another.
    """

    def __init__(self, issuers: Sequence[Issuer], clock: Clock) -> None:
        """
        Args:
            issuers: The policy's ``identity.issuers``.
            clock: Tells when a token has expired.

        Raises:
            ConfigurationError: An issuer's keys are not at an https address.
        """
        self._clock = clock
        self._trusted = {
            issuer.issuer: _Trusted(
                issuer,
                Trust(
                    frozenset({issuer.issuer}),
                    issuer.audience,
                    frozenset(issuer.algorithms),
                    Jwks(clock, issuer.issuer, issuer.jwks_url),
                ),
            )
            for issuer in issuers
        }

    def authenticate(self, token: str) -> Caller:
        """Who holds this token.

        Raises:
            Unauthenticated: ``invalid_token``, ``unknown_issuer``, ``wrong_audience``, ``expired_token``,
                ``premature_token`` or ``email_not_verified``.
            ServiceUnavailable: ``issuer_unavailable``.
        """
        unverified = parse_token(token)
        trusted = self._trusted.get(unverified.claims.iss)
        if trusted is None:
            raise unknown_issuer()
        claims = verify_token(unverified, trusted.trust, seconds(self._clock))
        issuer = trusted.issuer
        if issuer.require_verified_email and claims.email_verified is not True:
            raise Unauthenticated("The token's e-mail address is not verified.", code="email_not_verified")
        return Caller(
            tenant=issuer.tenant,
            key_id=_key_id(claims.iss, claims.sub),
            kind="oidc",
            scopes=frozenset(issuer.scopes),
            user=claims.sub,
        )


def _key_id(issuer: str, subject: str) -> str:
    """A digest of the subject. Neither part can hold the NUL between them.

    Not keyed: limits, numbering and the kill switch know a caller by this id, and with a secret under it each
    of them would lose him when that secret is rotated. Whoever can guess a subject can compute its id.
    """
    return "oidc_" + hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()[:32]
