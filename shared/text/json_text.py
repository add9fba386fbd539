"""Text that is JSON: read with its string escapes decoded, and cut without breaking it.

``"\\u0061dmin"`` means ``admin`` to whoever parses it, so guards read a second view in which each
escape is the character it stands for. The reading is lexical: it needs no valid JSON, keeps what a
parser would drop (the first of two equal keys), and works in linear time.
"""

from __future__ import annotations

from collections.abc import Iterator

import re2  # type: ignore[import-untyped]  # ships no types

from shared.text.canonical import Text, View, canonicalise, has_controls

_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
_STRING = re2.compile(r'(?s)"((?:[^"\\]|\\.)*)"([ \t\n]*:)?')
"""A string literal; group 2 takes part where it is the key of an object."""


def canonicalise_json(original: str, *, cut_escapes: bool) -> Text:
    """Read JSON text without control characters, plus a view with its escapes decoded if it has any.

    Args:
        original: JSON, or what claims to be.
        cut_escapes: Also take escapes of control characters, such as ``\\u0000``, out of the canonical
            view, since whoever parses it would meet the characters themselves.
    """
    plain = canonicalise(original)
    source = plain.canonical
    if "\\" not in source.text:
        return plain
    decoded, kept = _Reading(source), _Reading(source)
    at = 0
    for start, end, character in _escapes(source.text):
        decoded.copy(at, start)
        kept.copy(at, start)
        control = has_controls(character)
        if not control:
            decoded.put(character, start, end)
        if not (control and cut_escapes):
            kept.copy(start, end)
        at = end
    decoded.copy(at, len(source.text))
    kept.copy(at, len(source.text))
    canonical = kept.view("canonical") if cut_escapes else source
    return Text(original, (canonical, decoded.view("json")), removed=len(original) - len(canonical.text))


def string_values(text: str) -> Iterator[tuple[int, int]]:
    """The ranges between the quotes of every string in ``text`` that is a value, not a key."""
    for literal in _STRING.finditer(text):
        if literal[2] is None:
            yield literal.span(1)


class _Reading:
    """Builds a view piece by piece from an earlier view."""

    def __init__(self, source: View) -> None:
        self._source = source
        self._pieces: list[str] = []
        self._offsets: list[int] = []
        self._ends: list[int] = []

    def copy(self, start: int, end: int) -> None:
        """Take over ``source.text[start:end]`` as it is."""
        offsets = range(start, end) if self._source.offsets is None else self._source.offsets[start:end]
        self._pieces.append(self._source.text[start:end])
        self._offsets.extend(offsets)
        self._ends.extend([offset + 1 for offset in offsets])

    def put(self, character: str, start: int, end: int) -> None:
        """Read ``source.text[start:end]`` as one character."""
        first, after = self._source.span(start, end)
        self._pieces.append(character)
        self._offsets.append(first)
        self._ends.append(after)

    def view(self, name: str) -> View:
        return View(name, "".join(self._pieces), self._offsets, self._ends)


def _escapes(text: str) -> Iterator[tuple[int, int, str]]:
    """Each escape's range and the character it stands for; a surrogate without its pair is U+FFFD."""
    at = text.find("\\")
    while at != -1:
        end, character = _escape_at(text, at)
        if character:
            yield at, end, character
        at = text.find("\\", end)


def _escape_at(text: str, at: int) -> tuple[int, str]:
    """The end and meaning of the escape at ``at``; the meaning is empty where it is none."""
    letter = text[at + 1 : at + 2]
    if letter != "u":
        short = _SHORT.get(letter, "")
        return (at + 2, short) if short else (at + 1, "")
    unit = _code_unit(text, at)
    if unit is None:
        return at + 1, ""
    if 0xD800 <= unit < 0xDC00 and (low := _code_unit(text, at + 6)) is not None and 0xDC00 <= low < 0xE000:
        return at + 12, chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    return at + 6, "\ufffd" if 0xD800 <= unit < 0xE000 else chr(unit)


def _code_unit(text: str, at: int) -> int | None:
    """The number in the ``\\uXXXX`` at ``at``, or None where there is none."""
    digits = text[at + 2 : at + 6]
    if text[at : at + 2] != "\\u" or len(digits) != 4 or not _HEX.issuperset(digits):
        return None
    return int(digits, 16)
