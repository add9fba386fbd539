"""Signing in to an upstream without a key: by a Google ID token, or by what the upstream gives for one.

A model on Cloud Run takes the ID token itself
(https://cloud.google.com/run/docs/authenticating/service-to-service). OpenAI exchanges it for a token of its own,
which lives for an hour or less (https://developers.openai.com/api/reference/workload-identity-federation, RFC 8693).
Either is kept until it is about to expire, and fetched by one thread while the others go on with what there is.
"""

from __future__ import annotations

import time
from functools import partial
from urllib.parse import urlsplit

import msgspec

from shared.clock import Clock
from shared.errors import ServiceUnavailable
from shared.identity.minting import TokenSource
from shared.identity.renewing import Held, Renewing
from shared.models.upstreams.failures import UNREADABLE, auth_failed
from shared.policy.types import GoogleIdToken, TokenExchange
from shared.shapes import prepare
from shared.stores.secrets import Secret
from shared.web.http_client import HttpClient, HttpError

_SECOND = 10**9
_RENEWAL = 225 * _SECOND
"""Before an ID token expires: the metadata server hands out the same one until 4 minutes before its end."""

_MARGIN = 30 * _SECOND
"""A token with less time left is not sent: it could expire on its way."""

_COOLDOWN_SECONDS = 10
_EXCHANGE_SECONDS = 10.0
_MAX_ANSWER = 64 * 1024
_REFUSED = "upstream_identity_refused"

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # the name of a kind of token


class _Exchanged(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float
    """Seconds."""


prepare(_Exchanged)


class TokenKey:
    """``Key`` whose credential is a token."""

    def __init__(self, config: GoogleIdToken, source: TokenSource, clock: Clock) -> None:
        """Asks for nothing yet.

        Args:
            config: Whom the token is for, and where it is exchanged.
            source: Mints ID tokens of this function's service account.
            clock: Tells when a token must be renewed.
        """
        self._config = config
        self._source = source
        self._clock = clock
        fetch = self._id_token if config.exchange is None else partial(self._exchanged, config.exchange)
        self._tokens = Renewing("upstream token", fetch, clock, cooldown_seconds=_COOLDOWN_SECONDS)
        self._last: Secret | None = None

    def __call__(self, *, fresh: bool = False) -> Secret:
        """The token; with ``fresh`` another one than the last, where one can be had."""
        refused = self._last if fresh else None
        try:
            self._last = token = self._tokens.get(lambda token: token is not refused)
        except ServiceUnavailable as error:
            raise auth_failed(final=error.code == _REFUSED) from error
        return token

    def previous(self) -> None:
        """An older token is of no more use than the one that was refused."""

    def _id_token(self) -> Held[Secret]:
        minted = self._source.mint(self._config.audience)
        end = minted.expires_at * _SECOND
        return Held(Secret(minted.token.encode()), fresh_until=end - _RENEWAL, good_until=end - _MARGIN)

    def _exchanged(self, exchange: TokenExchange) -> Held[Secret]:
        now = self._clock.time_ns()
        given = _exchange(exchange, self._source.mint(self._config.audience).token)
        lifetime = round(given.expires_in * _SECOND)
        renewal = max(lifetime // 2, lifetime - 2 * _RENEWAL)
        token = Secret(given.access_token.encode())
        return Held(token, fresh_until=now + renewal, good_until=now + max(lifetime - _MARGIN, lifetime // 2))


def _exchange(exchange: TokenExchange, subject: str) -> _Exchanged:
    url = urlsplit(exchange.url)
    client = HttpClient(f"{url.scheme}://{url.netloc}", connect_timeout=_EXCHANGE_SECONDS)
    body = {
        "grant_type": _GRANT,
        "subject_token_type": _ID_TOKEN,
        "subject_token": subject,
        "identity_provider_id": exchange.identity_provider,
        "service_account_id": exchange.service_account,
    }
    headers = {"content-type": "application/json", "accept": "application/json", "connection": "close"}
    deadline = time.monotonic() + _EXCHANGE_SECONDS
    try:
        sent = client.send("POST", url.path or "/", headers=headers, body=msgspec.json.encode(body), deadline=deadline)
        with sent as response:
            answer = response.read(_MAX_ANSWER)
    except HttpError as error:
        raise _unavailable(type(error).__name__) from error
    if response.status in (400, 401, 403):
        raise ServiceUnavailable("The upstream does not take Wardgate's identity.", status=502, code=_REFUSED)
    if response.status != 200:
        raise _unavailable(f"status {response.status}")
    try:
        given = msgspec.json.decode(answer, type=_Exchanged)
    except UNREADABLE:
        raise _unavailable("an answer that cannot be read") from None  # the cause may quote the token
    if not given.access_token.isascii() or not given.access_token.isprintable() or given.expires_in <= 0:
        raise _unavailable("an answer without a token")
    return given


def _unavailable(reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"The upstream gives no token: {reason}.", code="upstream_identity_unavailable")
