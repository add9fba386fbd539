"""Canonical text: untrusted text turned once into the views that guards read.

Each view maps its characters back to the original, so that a redaction cuts the right ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""C0 and C1 controls and DEL, but for tab and newline. A class of ranges, so it is linear."""


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text."""

    name: str
    text: str
    offsets: Sequence[int] | None = None
    """For each character of ``text`` its index in the original; None where they are the same."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that ``text[start:end]`` was read from."""
        if self.offsets is None:
            return start, end
        if start == end:
            at = self.offsets[start] if start < len(self.offsets) else (self.offsets[-1] + 1 if self.offsets else 0)
            return at, at
        return self.offsets[start], self.offsets[end - 1] + 1


@dataclass(frozen=True, slots=True)
class Text:
    """A text with its views; the first view is the canonical one, which goes on to the model."""

    original: str
    views: tuple[View, ...]
    removed: int = 0
    """How many control characters are not in the canonical view."""

    @property
    def canonical(self) -> View:
        """The view without null and control characters (newline and tab stay)."""
        return self.views[0]


def canonicalise(original: str) -> Text:
    """Read ``original`` without its null and control characters, in linear time."""
    if _CONTROL.search(original) is None:
        return Text(original, (View("canonical", original),))
    offsets = [i for i, character in enumerate(original) if not _CONTROL.match(character)]
    text = _CONTROL.sub("", original)
    return Text(original, (View("canonical", text, offsets),), removed=len(original) - len(text))
