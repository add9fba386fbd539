"""Turns a request's credential into a caller."""

from __future__ import annotations

from typing import Protocol

from shared.identity.api_keys import ApiKeys
from shared.identity.bearer import Headers, bearer_token
from shared.identity.caller import Caller
from shared.identity.key_format import PREFIX


class TokenVerifier(Protocol):
    """Authenticates by signed tokens; ``shared.identity.oidc`` has the one, imported only where it is needed."""

    def authenticate(self, token: str) -> Caller: ...


class Authenticator:
    """Authenticates by API key or, where the policy names issuers, by their tokens.

    Nothing is written for a caller who is not authenticated.
    """

    def __init__(self, api_keys: ApiKeys, oidc: TokenVerifier | None = None) -> None:
        self._api_keys = api_keys
        self._oidc = oidc

    def authenticate(self, headers: Headers) -> Caller:
        """Who sent a request with these headers.

        Raises:
            Unauthenticated: With a ``code`` that says what is wrong with the credential.
            ServiceUnavailable: The credential cannot be checked now.
        """
        token = bearer_token(headers)
        if self._oidc is None or token.startswith(PREFIX):
            return self._api_keys.authenticate(token)
        return self._oidc.authenticate(token)
