"""The identity of one function towards another: ID tokens, as Google signs them for service accounts.

The token goes out twice. Cloud Run checks the one in ``X-Serverless-Authorization``, lets the call in
if the account is an invoker, and hands it on without its signature. The one in ``Authorization`` reaches
the function whole, so that it can check for itself: see ``shared.identity.service_verifier``.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from shared.clock import Clock, SystemClock
from shared.errors import ConfigurationError, Fault
from shared.identity.minting import TokenSource
from shared.identity.renewing import Held, Renewing

_RENEWAL = 225 * 10**9
"""Before a token expires. The metadata server hands out the same one until 4 minutes before its end."""

_MARGIN = 30 * 10**9
"""A token with less time left is not sent: it could expire on its way."""

_COOLDOWN_SECONDS = 10


class IdentityTokens(Protocol):
    """Proves to another function who is calling."""

    def headers(self, audience: str) -> dict[str, str]:
        """The headers that carry a token for ``audience``, the URL of the function that is called.

        Raises:
            ServiceUnavailable: ``identity_unavailable``: no token can be had.
        """


class CachedIdentityTokens:
    """Keeps the token for each audience until shortly before it expires. Safe under threads."""

    def __init__(self, source: TokenSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._by_audience: dict[str, Renewing[dict[str, str]]] = {}
        self._lock = threading.Lock()

    def headers(self, audience: str) -> dict[str, str]:
        """See ``IdentityTokens``."""
        held = self._by_audience.get(audience)
        if held is None:
            with self._lock:
                held = self._by_audience.setdefault(audience, self._renewing(audience))
        return dict(held.get())

    def _renewing(self, audience: str) -> Renewing[dict[str, str]]:
        def fetch() -> Held[dict[str, str]]:
            minted = self._source.mint(audience)
            headers = {
                "Authorization": f"Bearer {minted.token}",
                "X-Serverless-Authorization": f"Bearer {minted.serverless}",
            }
            end = minted.expires_at * 10**9
            return Held(headers, fresh_until=end - _RENEWAL, good_until=end - _MARGIN)

        return Renewing("identity token", fetch, self._clock, cooldown_seconds=_COOLDOWN_SECONDS)


def connect_identity(uri: str, service_account: str, clock: Clock | None = None) -> IdentityTokens:
    """Make the identity that ``WARDGATE_IDENTITY`` names. Opens no connection yet.

    Args:
        uri: ``local:///folder`` (made by ``create_local_issuer``), or ``google://`` for the service account
            that the function runs as.
        service_account: E-mail address that the local issuer vouches for; Google knows it itself.
        clock: Tells when a token must be renewed.

    Raises:
        ConfigurationError: The URI is another one, or the folder holds no key.
    """
    clock = clock or SystemClock()
    return CachedIdentityTokens(connect_token_source(uri, service_account, clock), clock)


def connect_token_source(uri: str, service_account: str, clock: Clock) -> TokenSource:
    """Where the identity that ``WARDGATE_IDENTITY`` names mints its tokens. Arguments and errors as above."""
    if uri.startswith("local://"):
        from shared.identity.local_issuer import LocalIssuer

        return LocalIssuer(Path(uri.removeprefix("local://")), service_account, clock)
    if uri.startswith("google://"):
        from shared.identity.google_identity import google_token_source

        return google_token_source()
    raise unknown_identity(uri)


def unknown_identity(uri: str) -> ConfigurationError:
    """The error for a URI that names no identity."""
    return ConfigurationError([Fault("WARDGATE_IDENTITY", f"'{uri}' is not local:///folder or google://.")])
