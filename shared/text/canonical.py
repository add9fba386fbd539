"""Canonical text: untrusted text turned once into the views that guards read.

Each view maps its characters back to the original, so that a redaction cuts the right ones.
Lone surrogates never get here: they are refused where the text is decoded.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import overload

from msgspec import Struct

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
"""C0 and C1 controls and DEL, but for tab and newline. A class of ranges, so it cannot backtrack."""

_ASCII_CONTROL = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])
_C1_LEAD = b"\xc2"
"""The first byte in UTF-8 of every C1 control, and of Latin-1's punctuation."""


class Runs(Sequence[int]):
    """Numbers that mostly count up by one, kept as the runs in which they do, so that a map costs what it skips."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._firsts: list[int] = []
        self._length = 0

    def add(self, first: int, length: int = 1) -> None:
        """Append ``first``, ``first + 1`` and so on."""
        self._starts.append(self._length)
        self._firsts.append(first)
        self._length += length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> list[int]: ...

    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._length))]
        if not 0 <= index < self._length:
            raise IndexError(index)
        run = bisect_right(self._starts, index) - 1
        return self._firsts[run] + index - self._starts[run]


class View(Struct, frozen=True):
    """One reading of a text. A msgspec struct, as ``Text`` is, since every part of every request makes one."""

    name: str
    text: str
    offsets: Sequence[int] | None = None
    """For each character of ``text`` its index in the original; None where they are the same."""

    ends: Sequence[int] | None = None
    """For each character of ``text`` the index after it in the original; None where each was one character."""

    def __repr__(self) -> str:
        return f"View({self.name!r})"

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that ``text[start:end]``, which is not empty, was read from."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1 if self.ends is None else self.ends[end - 1]

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """The range of ``text`` whose characters begin within ``[start, end)`` of the original."""
        if self.offsets is None:
            return start, end
        return bisect_left(self.offsets, start), bisect_left(self.offsets, end)


class Text(Struct, frozen=True):
    """A text with its views; the first view is the canonical one, which goes on to the model."""

    original: str
    views: tuple[View, ...]
    removed: int = 0
    """How many control characters are not in the canonical view."""

    def __repr__(self) -> str:
        return f"Text(<{len(self.original)} characters>)"

    @property
    def canonical(self) -> View:
        """The view without null and control characters (newline and tab stay)."""
        return self.views[0]


def canonicalise(original: str) -> Text:
    """Read ``original`` without its null and control characters, in linear time."""
    if not has_controls(original):
        return Text(original, (View("canonical", original),))
    view = without(original, [run.span() for run in CONTROLS.finditer(original)])
    return Text(original, (view,), removed=len(original) - len(view.text))


def without(original: str, ranges: Sequence[tuple[int, int]]) -> View:
    """The canonical view of ``original`` that leaves ``ranges``, which are in order, out."""
    pieces: list[str] = []
    offsets = Runs()
    at = 0
    for start, end in (*ranges, (len(original), len(original))):
        if start > at:
            offsets.add(at, start - at)
            pieces.append(original[at:start])
        at = end
    return View("canonical", "".join(pieces), offsets)


def has_controls(text: str) -> bool:
    """Whether ``text`` holds a character that its canonical view would not."""
    encoded = text.encode()  # deleting from bytes is several times faster than searching with a regex
    if len(encoded.translate(None, _ASCII_CONTROL)) != len(encoded):
        return True
    return _C1_LEAD in encoded and CONTROLS.search(text) is not None
