"""An issuer's public keys: fetched, cached, and fetched again when a token asks for one that is unknown.

Tokens of made-up keys cannot make the issuer suffer: between two fetches lie at least 30 s. The
price is that a key which an issuer uses the moment it publishes it may be unknown for so long; issuers
publish first. While an issuer does not answer, its last known keys serve for a day.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.json import Decoder

from shared.clock import Clock
from shared.errors import ConfigurationError, Fault, ServiceUnavailable
from shared.identity.fetch import fetch
from shared.identity.jws import KeySet, PublicKey, read_key_set
from shared.identity.renewing import Held, Renewing
from shared.web.http_client import HttpError

_FRESH = 3600 * 10**9
_GOOD = 86_400 * 10**9
_COOLDOWN_SECONDS = 30


class Jwks:
    """The keys of one issuer. Fetched at first use; safe under threads."""

    def __init__(self, clock: Clock, issuer: str, url: str | None = None) -> None:
        """
        Args:
            clock: Tells the keys' age.
            issuer: The issuer.
            url: Where its keys are: ``https``, ``http`` on this machine, or ``file``. None: where the
                issuer's discovery document says.

        Raises:
            ConfigurationError: The address is not one that keys may be fetched from.
        """
        discovery = issuer.rstrip("/") + "/.well-known/openid-configuration"
        if not _may_be_fetched(url or discovery):
            problem = "must have an https address for its keys; http is for this machine only."
            raise ConfigurationError([Fault(f"issuer {issuer}", problem)])
        self._clock = clock
        self._issuer = issuer
        self._url = url
        self._discovery = discovery
        self._keys = Renewing("issuer keys", self._fetch, clock, cooldown_seconds=_COOLDOWN_SECONDS)

    def find(self, kid: str) -> PublicKey | None:
        """The key with this id, or None where the issuer has none.

        Raises:
            ServiceUnavailable: ``issuer_unavailable``: its keys cannot be fetched and none are held.
        """
        return self._keys.get(lambda keys: keys.find(kid) is not None).find(kid)

    def only(self, algorithm: str, suits: Callable[[PublicKey], bool]) -> PublicKey | None:
        """The issuer's one key for an algorithm, for a token that names no key; None where it has none or several.

        Several are not tried one after the other: where there is a choice the token has to name its key
        (OpenID Connect Core 1.0, section 10.1).

        Args:
            algorithm: The token's.
            suits: Whether a key is the one hoped for. If not, the keys are fetched again, as for an unknown
                id: without ids a new key shows only by signatures that the old one does not verify.

        Raises:
            ServiceUnavailable: As ``find``.
        """

        def has_it(keys: KeySet) -> bool:
            key = keys.only(algorithm)
            return key is not None and suits(key)

        return self._keys.get(has_it).only(algorithm)

    def _fetch(self) -> Held[KeySet]:
        try:
            keys = read_key_set(_read(self._url or self._discover()))
            if not keys.keys:
                raise ValueError("no usable key")  # noqa: TRY301  # handled as every other fault of the issuer's
        except (HttpError, OSError, ValueError) as error:
            raise ServiceUnavailable(
                "Tokens cannot be checked now: their issuer's keys could not be fetched.", code="issuer_unavailable"
            ) from error
        now = self._clock.time_ns()
        return Held(keys, fresh_until=now + _FRESH, good_until=now + _GOOD)

    def _discover(self) -> str:
        """The keys' address by OpenID Connect Discovery 1.0, section 4; asked anew each time, since it may move."""
        document = _decode_discovery(fetch(self._discovery))
        if document.issuer != self._issuer:
            raise ValueError("the discovery document is another issuer's")
        if urlsplit(document.jwks_uri).scheme != urlsplit(self._issuer).scheme or not _may_be_fetched(
            document.jwks_uri
        ):
            raise ValueError("the keys' address is not as safe as the issuer's")
        return document.jwks_uri


class _Discovery(Struct):
    issuer: str
    jwks_uri: str


_decode_discovery = Decoder(_Discovery).decode


def _read(url: str) -> bytes:
    parts = urlsplit(url)
    return Path(unquote(parts.path)).read_bytes() if parts.scheme == "file" else fetch(url)


def _may_be_fetched(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == "http":
            return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
    return parts.scheme in ("https", "file")
