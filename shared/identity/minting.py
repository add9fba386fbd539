"""Where ID tokens come from, as those see it who carry them: the local issuer, or Google."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from shared.discreet import Discreet


class MintedToken(Discreet, Struct, frozen=True):
    """A token, fresh from where it is made."""

    token: str
    serverless: str
    """What goes into ``X-Serverless-Authorization``."""

    expires_at: int
    """Seconds since the Unix epoch."""


class TokenSource(Protocol):
    """Where tokens are made."""

    def mint(self, audience: str) -> MintedToken:
        """A token for ``audience``.

        Raises:
            ServiceUnavailable: ``identity_unavailable``: it cannot be had.
        """
