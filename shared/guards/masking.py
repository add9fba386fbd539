"""Placeholders that stand for masked values between a request and its answer.

One request, one ``Masks``: a value has the same placeholder wherever it stands in the request. Each carries the
request's random nonce, so that none of another request, and none that somebody made up, means anything here.
``EMAIL_1_K7QX2MWB`` is one word of capitals, digits and underscores: models repeat it as it is, Markdown does
not see it, and no guard takes it for a secret.
"""

from __future__ import annotations

import secrets

_ALPHABET = "BCDFGHJKMNPQRSTVWXYZ23456789"
"""Without vowels and look-alikes: a nonce is no word."""

_NONCE = 8
"""Characters of the nonce: 38 random bits."""

WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
"""What placeholders are made of."""


class Masks:
    """The masked values of one request. Lives as long as the request does, and shows nothing of them.

    Args:
        text: All text of the request: the nonce does not occur in it.
    """

    def __init__(self, text: str) -> None:
        self.nonce = _fresh()
        while self.nonce in text:
            self.nonce = _fresh()
        self._values: dict[str, str] = {}
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.longest = 0
        """Characters of the longest placeholder."""

    def __repr__(self) -> str:
        return f"Masks(<{len(self._values)} values>)"

    def placeholder(self, kind: str, value: str) -> str:
        """What stands for ``value``; ``kind`` names it where it is new."""
        known = self._placeholders.get(value)
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = f"{kind.upper()}_{number}_{self.nonce}"
            self._placeholders[value] = known
            self._values[known] = value
            self.longest = max(self.longest, len(known))
        return known

    def value(self, placeholder: str) -> str | None:
        """What it stands for; None for what is no placeholder of this request."""
        return self._values.get(placeholder)


def is_placeholder(text: str) -> bool:
    """Whether ``text`` has the form of a placeholder, of whatever request."""
    kind, _, rest = text.rpartition("_")
    name, _, number = kind.rpartition("_")
    return len(rest) == _NONCE and set(_ALPHABET).issuperset(rest) and number.isdigit() and name.isupper()


def _fresh() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_NONCE))
