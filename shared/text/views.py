"""A view: one reading of a text, which maps its characters back to the original."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, overload

from msgspec import Struct


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
        return f"{type(self).__name__}({self.name!r})"

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


class Edit(NamedTuple):
    """A range of a text that stands as something else in its reading."""

    start: int
    end: int
    length: int
    """Characters that stand for it; each of them stands for all of it."""


class Edited(View, frozen=True, kw_only=True, dict=True):
    """A view made from another by edits, which are asked for only where a place must be told: most texts hold none."""

    source: View
    edits: Callable[[], Iterable[Edit]] = tuple
    """In order and apart. None of them where both texts are of one length, character by character."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that ``text[start:end]``, which is not empty, was read from."""
        first, _ = self._read_from(start)
        _, last = self._read_from(end - 1)
        return self.source.span(first, last)

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Only views that go on are cut, and no edited one does."""
        raise NotImplementedError

    @cached_property
    def _pieces(self) -> tuple[list[int], list[tuple[int, int, bool]]]:
        """Where each piece begins in ``text``; and in the source, where it ends, and whether it is an edit."""
        starts: list[int] = []
        pieces: list[tuple[int, int, bool]] = []
        here = at = 0
        for edit in self.edits():
            if edit.start > at:
                starts.append(here)
                pieces.append((at, edit.start, False))
                here += edit.start - at
            if edit.length:
                starts.append(here)
                pieces.append((edit.start, edit.end, True))
                here += edit.length
            at = edit.end
        starts.append(here)
        pieces.append((at, len(self.source.text), False))
        return starts, pieces

    def _read_from(self, index: int) -> tuple[int, int]:
        """The range of the source that the character at ``index`` stands for."""
        starts, pieces = self._pieces
        piece = bisect_right(starts, index) - 1
        start, end, edited = pieces[piece]
        if edited:
            return start, end
        place = start + index - starts[piece]
        return place, place + 1


class Mirrored(View, frozen=True, kw_only=True):
    """A view that reads another backwards."""

    source: View

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that ``text[start:end]``, which is not empty, was read from."""
        length = len(self.text)
        return self.source.span(length - end, length - start)

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Only views that go on are cut, and no mirrored one does."""
        raise NotImplementedError


def edited(name: str, source: View, edits: Sequence[tuple[int, int, str]]) -> Edited:
    """``source`` with ranges replaced; ``edits`` are in order and apart."""
    pieces: list[str] = []
    at = 0
    text = source.text
    for start, end, replacement in edits:
        pieces += (text[at:start], replacement)
        at = end
    pieces.append(text[at:])
    return Edited(
        name,
        "".join(pieces),
        source=source,
        edits=lambda: (Edit(start, end, len(replacement)) for start, end, replacement in edits),
    )
