"""Text that is JSON: read with its string escapes decoded, and cut without breaking it.

``"\\u0061dmin"`` means ``admin`` to whoever parses it, so guards read a second view in which each
escape is the character it stands for. The reading is lexical: it needs no valid JSON, keeps what a
parser would drop (the first of two equal keys), and works in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.text.canonical import CONTROLS, Runs, Text, View, canonicalise, without

_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
_TOKEN = re.compile(rf"\\|{CONTROLS.pattern}")
"""Where something other than plain text begins. Alternatives with different first characters cannot backtrack."""


_BLANK = frozenset(" \t\n\r")


def canonicalise_json(original: str, *, cut_escapes: bool) -> Text:
    """Read JSON text without control characters, plus a view with its escapes decoded if it has any.

    Args:
        original: JSON, or what claims to be.
        cut_escapes: Also take escapes of control characters, such as ``\\u0000``, out of the canonical
            view, since whoever parses it would meet the characters themselves.
    """
    if "\\" not in original:
        return canonicalise(original)
    pieces: list[str] = []
    offsets, ends = Runs(), Runs()
    cut: list[tuple[int, int]] = []
    at = 0
    for start, end, character in _tokens(original):
        if start > at:
            pieces.append(original[at:start])
            offsets.add(at, start - at)
            ends.add(at + 1, start - at)
        at = end
        if not character or CONTROLS.match(character):
            if cut_escapes or not character:
                cut.append((start, end))
        else:
            pieces.append(character)
            offsets.add(start)
            ends.add(end)
    pieces.append(original[at:])
    offsets.add(at, len(original) - at)
    ends.add(at + 1, len(original) - at)
    canonical = without(original, cut) if cut else View("canonical", original)
    decoded = View("json", "".join(pieces), offsets, ends)
    return Text(original, (canonical, decoded), removed=len(original) - len(canonical.text))


def string_values(text: str) -> Iterator[tuple[int, int]]:
    """The ranges between the quotes of every string in ``text`` that is a value, not a key."""
    opening = text.find('"')
    while opening != -1 and (closing := _closing_quote(text, opening + 1)) != -1:
        after = closing + 1
        while text[after : after + 1] in _BLANK:
            after += 1
        if text[after : after + 1] != ":":
            yield opening + 1, closing
        opening = text.find('"', closing + 1)


def _closing_quote(text: str, at: int) -> int:
    """Where the string that is open at ``at`` ends, or -1; each character is looked at once."""
    quote = text.find('"', at)
    while quote != -1 and (escape := text.find("\\", at, quote)) != -1:
        at = escape + 2
        if at > quote:
            quote = text.find('"', at)
    return quote


def _tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Each escape with the character it stands for, and each run of control characters with none."""
    at = 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        if start < at:  # the second half of an escaped backslash
            continue
        if text[start] != "\\":
            yield start, end, ""
            at = end
        elif (escape := _escape_at(text, start)) is not None:
            at, character = escape
            yield start, at, character


def _escape_at(text: str, at: int) -> tuple[int, str] | None:
    """The end and meaning of the escape at ``at``, or None where it is none; half a surrogate pair is U+FFFD."""
    letter = text[at + 1 : at + 2]
    if letter != "u":
        return (at + 2, _SHORT[letter]) if letter in _SHORT else None
    unit = _code_unit(text, at)
    if unit is None:
        return None
    if 0xD800 <= unit < 0xDC00 and (low := _code_unit(text, at + 6)) is not None and 0xDC00 <= low < 0xE000:
        return at + 12, chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    return at + 6, "\ufffd" if 0xD800 <= unit < 0xE000 else chr(unit)


def _code_unit(text: str, at: int) -> int | None:
    """The number in the ``\\uXXXX`` at ``at``, or None where there is none."""
    digits = text[at + 2 : at + 6]
    if text[at : at + 2] != "\\u" or len(digits) != 4 or not _HEX.issuperset(digits):
        return None
    return int(digits, 16)
