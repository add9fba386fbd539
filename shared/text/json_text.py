"""Text that is JSON: read with its string escapes decoded, and cut without breaking it.

``"\\u0061dmin"`` means ``admin`` to whoever parses it, so guards read a second view in which each
escape is the character it stands for. The reading is lexical: it needs no valid JSON, keeps what a
parser would drop (the first of two equal keys), and works in linear time.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.text.canonical import Text, canonicalise, without
from shared.text.hidden import hidden_ranges
from shared.text.views import edited

_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")

_BLANK = frozenset(" \t\n\r")


def canonicalise_json(original: str, *, cut_escapes: bool) -> Text:
    """Read JSON text without control characters, plus a view with its escapes decoded if it has any.

    Args:
        original: JSON, or what claims to be.
        cut_escapes: Also take escapes of control characters, such as ``\\u0000``, out of the canonical
            view, since whoever parses it would meet the characters themselves.
    """
    text = canonicalise(original)
    escapes = list(_escapes(text.canonical.text))
    if not escapes:
        return text
    decoded = edited("json", text.canonical, escapes)
    hidden = hidden_ranges(decoded.text)
    if not hidden:
        return Text(original, (text.canonical, decoded), text.removed)
    canonical = text.canonical
    if cut_escapes:
        cut = [*hidden_ranges(original), *(decoded.span(*place) for place in hidden)]
        canonical = without(original, sorted(cut))
    decoded = edited("json", decoded, [(*place, "") for place in hidden])
    return Text(original, (canonical, decoded), len(original) - len(canonical.text))


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


def _escapes(text: str) -> Iterator[tuple[int, int, str]]:
    """Each escape with the character it stands for."""
    at = text.find("\\")
    while at != -1:
        escape = _escape_at(text, at)
        if escape is not None:
            yield at, *escape
        at = text.find("\\", at + 2 if escape is None else escape[0])


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
