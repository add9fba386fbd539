"""Where ID tokens come from, as those see it who carry them: the local issuer, or Google."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token, fresh from where it is made."""

    token: str = field(repr=False)
    serverless: str = field(repr=False)
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
