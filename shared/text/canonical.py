"""Canonical text: untrusted text turned once into the views that guards read.

Each view maps its characters back to the original, so that a redaction cuts the right ones.
Lone surrogates never get here: they are refused where the text is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from msgspec import Struct

from shared.text.hidden import hidden_ranges
from shared.text.readings import disguised
from shared.text.views import Runs, View

Known = TypeVar("Known")


class Text(Struct, frozen=True, dict=True):
    """A text with its views; the first view is the canonical one, which goes on to the model."""

    original: str
    views: tuple[View, ...]
    """What it says as it stands: whether a guard finds something here depends on the characters near it only,
    so a window over an answer shows the same."""

    removed: int = 0
    """How many control and invisible characters are not in the canonical view."""

    def __repr__(self) -> str:
        return f"Text(<{len(self.original)} characters>)"

    @property
    def canonical(self) -> View:
        """The view without control and invisible characters (newline and tab stay)."""
        return self.views[0]

    @cached_property
    def readings(self) -> tuple[View, ...]:
        """``views``, and what the text says behind its disguises, for guards of whole texts; made when first read.

        The canonical view comes first. Folded, decoded and reshaped views follow where they differ from it.
        """
        return (*self.views, *disguised(self.original, self.views[-1]))

    def once(self, key: object, find_out: Callable[[], Known]) -> Known:
        """What ``find_out`` answers of this text, for whoever asks with the same key. Not for several threads."""
        if key not in self._known:
            self._known[key] = find_out()
        known: Known = self._known[key]
        return known

    @cached_property
    def _known(self) -> dict[object, Any]:
        return {}


def canonicalise(original: str) -> Text:
    """Read ``original`` without its control and invisible characters, in linear time."""
    hidden = hidden_ranges(original)
    if not hidden:
        return Text(original, (View("canonical", original),))
    view = without(original, hidden)
    return Text(original, (view,), removed=len(original) - len(view.text))


def without(original: str, ranges: Sequence[tuple[int, int]]) -> View:
    """The canonical view of ``original`` that leaves ``ranges`` out, which are in order and may overlap."""
    pieces: list[str] = []
    offsets = Runs()
    at = 0
    for start, end in (*ranges, (len(original), len(original))):
        if start > at:
            offsets.add(at, start - at)
            pieces.append(original[at:start])
        at = max(at, end)
    return View("canonical", "".join(pieces), offsets)
