"""Checks that a function was called by the one service account that may call it.

Only the token in ``Authorization`` is evidence. ``X-Serverless-Authorization`` is not read: Cloud Run
has removed its signature, and where no Cloud Run stands in front anybody could have written it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from shared.clock import Clock, SystemClock, seconds
from shared.errors import Forbidden
from shared.identity.bearer import Headers, bearer_token
from shared.identity.expiring import ExpiringSet
from shared.identity.jwks import Jwks
from shared.identity.service import unknown_identity
from shared.identity.tokens import Trust, parse_token, verify_token

GOOGLE_ISSUERS: Final = frozenset({"https://accounts.google.com", "accounts.google.com"})
_GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"

_REMEMBERED = 64


class ServiceVerifier:
    """Lets calls of one service account pass. Safe under threads.

    A token that has been verified is known again by its digest until it expires, since a caller sends
    the same one for an hour; so a key that its issuer withdraws counts for that long at most.
    """

    def __init__(self, trust: Trust, service_account: str, clock: Clock) -> None:
        self._trust = trust
        self._service_account = service_account
        self._clock = clock
        self._verified: ExpiringSet[bytes] = ExpiringSet(_REMEMBERED, clock)

    def verify(self, headers: Headers) -> None:
        """Return if the call may pass.

        Raises:
            Unauthenticated: 401: ``missing_credentials``, ``invalid_credentials``, ``token_too_large``,
                ``invalid_token``, ``unknown_issuer``, ``wrong_audience``, ``expired_token`` or
                ``premature_token``.
            Forbidden: 403: ``wrong_service_account``: the token is sound, but another account's.
            ServiceUnavailable: ``issuer_unavailable``.
        """
        token = bearer_token(headers)
        digest = hashlib.sha256(token.encode()).digest()
        if digest in self._verified:
            return
        now = seconds(self._clock)
        claims = verify_token(parse_token(token), self._trust, now)
        if claims.email != self._service_account or claims.email_verified is not True:
            raise Forbidden("The calling service account may not call this function.", code="wrong_service_account")
        self._verified.add(digest, claims.exp - now)


def connect_verifier(uri: str, *, audience: str, service_account: str, clock: Clock | None = None) -> ServiceVerifier:
    """Make the verifier for callers that ``connect_identity`` gave their identity. Reads nothing yet.

    Args:
        uri: ``local:///folder`` or ``google://``, as ``WARDGATE_IDENTITY``.
        audience: The function's own URL, exactly as its callers ask for tokens.
        service_account: E-mail address of the only account that may call.
        clock: Tells when a token has expired.

    Raises:
        ConfigurationError: The URI is another one.
    """
    clock = clock or SystemClock()
    return ServiceVerifier(trusted_issuer(uri, audience, clock), service_account, clock)


def trusted_issuer(uri: str, audience: str, clock: Clock) -> Trust:
    """Which ID tokens are believed where ``WARDGATE_IDENTITY`` is ``uri``. Reads nothing yet.

    Raises:
        ConfigurationError: The URI is another one than ``local:///folder`` or ``google://``.
    """
    if uri.startswith("local://"):
        from shared.identity.local_issuer import LOCAL_ALGORITHM, LOCAL_ISSUER, local_key_set

        key_set = local_key_set(Path(uri.removeprefix("local://"))).absolute().as_uri()
        return Trust({LOCAL_ISSUER}, audience, {LOCAL_ALGORITHM}, Jwks(clock, LOCAL_ISSUER, key_set))
    if uri.startswith("google://"):
        return Trust(GOOGLE_ISSUERS, audience, {"RS256"}, Jwks(clock, "https://accounts.google.com", _GOOGLE_KEYS))
    raise unknown_identity(uri)
