"""Who may use guard's admin routes: operators, by an ID token that Google's IAM let them have.

guard is open to the public, so Cloud Run's IAM cannot protect a route of it, and guard checks by itself. The token
is that of a service account which has no other use. Whom IAM lets impersonate it may ask for such a token, for
this audience; so IAM's policy and log say who did. Tokens of people's own accounts are no evidence: gcloud gets
them for an audience that it shares with every other service.
"""

from __future__ import annotations

from collections.abc import Collection

from shared.clock import Clock, seconds
from shared.errors import Forbidden, Unauthenticated
from shared.identity.bearer import Headers, bearer_token
from shared.identity.key_format import PREFIX
from shared.identity.tokens import Trust, parse_token, verify_token


class OperatorVerifier:
    """Lets operators pass. Remembers nothing: they come seldom."""

    def __init__(self, trust: Trust, accounts: Collection[str], clock: Clock) -> None:
        """
        Args:
            trust: Whose tokens are believed, and the audience they must be meant for.
            accounts: E-mail addresses of the accounts that may pass.
            clock: Tells when a token has expired.
        """
        self._trust = trust
        self._accounts = frozenset(accounts)
        self._clock = clock

    def verify(self, headers: Headers) -> str:
        """The account that the call is made as.

        Raises:
            Unauthenticated: 401, as ``verify_token`` and ``bearer_token`` say; ``invalid_token`` for an API key.
            Forbidden: 403: ``not_an_operator``: the token is sound, but another account's.
            ServiceUnavailable: ``issuer_unavailable``.
        """
        token = bearer_token(headers)
        if token.startswith(PREFIX):
            raise Unauthenticated("API keys open no admin route; send an operator's ID token.", code="invalid_token")
        claims = verify_token(parse_token(token), self._trust, seconds(self._clock))
        if claims.email not in self._accounts or claims.email_verified is not True:
            raise Forbidden("This account is not an operator's.", code="not_an_operator")
        return str(claims.email)
