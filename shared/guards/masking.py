"""Placeholders that stand for masked values between a request and its answer.

One request, one ``Masks``: a value has the same placeholder wherever it stands in the request. Each carries the
request's random nonce, so that none of another request, and none that somebody made up, means anything here.
``EMAIL1K7QX2MWB`` is one word of capitals and digits: models repeat it as it is, Markdown does not see it, and
no guard finds a word in it, such as the token in ``GITHUB_TOKEN``, or takes it for a secret.
"""

from __future__ import annotations

import secrets
from string import ascii_uppercase, digits

_LETTERS = "BCDFGHJKMNPQRSTVWXYZ"
_ALPHABET = _LETTERS + "23456789"
"""Without vowels and look-alikes: a nonce is no word. It begins with a letter, so that a number before it ends."""

_NONCE = 8
"""Characters of the nonce: 38 random bits."""

WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
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
        self._kept: set[str] = set()
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.longest = 0
        """Characters of the longest placeholder."""

    def __repr__(self) -> str:
        return f"Masks(<{len(self._values)} values>)"

    def placeholder(self, kind: str, value: str, *, returns: bool = True) -> str:
        """What stands for ``value``.

        Args:
            kind: Names it where it is new.
            value: As it stands in the request.
            returns: Whether it comes from somebody who may have it back; once is enough.
        """
        known = self._placeholders.get(value)
        if known is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            known = f"{kind.replace('_', '').upper()}{number}{self.nonce}"
            self._placeholders[value] = known
            self._values[known] = value
            self.longest = max(self.longest, len(known))
            self._kept.add(known)
        if returns:
            self._kept.discard(known)
        return known

    def value(self, placeholder: str) -> str | None:
        """What it stands for; None for what is no placeholder of this request, or whose value nobody may have back."""
        return None if placeholder in self._kept else self._values.get(placeholder)


def is_placeholder(text: str) -> bool:
    """Whether ``text`` has the form of a placeholder, of whatever request."""
    kind, nonce = text[:-_NONCE], text[-_NONCE:]
    name = kind.rstrip(digits)
    return bool(name) and name != kind and set(ascii_uppercase).issuperset(name) and _is_nonce(nonce)


def _is_nonce(text: str) -> bool:
    return len(text) == _NONCE and text[0] in _LETTERS and set(_ALPHABET).issuperset(text)


def _fresh() -> str:
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_ALPHABET) for _ in range(_NONCE - 1))
