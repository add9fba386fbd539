"""Text written in characters that nobody sees: tags, variation selectors, zero-width bits.

None of it goes on to the model (see ``hidden``); guards read what it says, since it shows what somebody tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from shared.text.decoding import as_text
from shared.text.views import View, edited

LONGEST_HONEST = 8
"""Characters of text in tags that honest text may hold: the flag of a region is a code of at most six."""

_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_BITS = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff]{32,}")


def smuggled(original: str) -> list[View]:
    """What ``original`` says in characters that nobody sees, one view for each way of writing so."""
    if original.isascii():
        return []
    source = View("original", original)
    found = [_read(source, name, pattern, read) for name, pattern, read in _WAYS]
    return [view for view in found if view.text.strip()]


def _read(source: View, name: str, pattern: re.Pattern[str], read: Callable[[str], str | None]) -> View:
    """What stands in the places of ``pattern``, each with a space after it."""
    edits: list[tuple[int, int, str]] = []
    at = 0
    for found in pattern.finditer(source.text):
        meaning = read(found.group())
        if meaning is not None:
            edits += ((at, found.start(), ""), (*found.span(), f"{meaning} "))
            at = found.end()
    edits.append((at, len(source.text), ""))
    return edited(name, source, edits)


def _tags(code: str) -> str | None:
    return code.encode("utf-32-le")[::4].decode()  # the low byte of each is what it says


def _selectors(code: str) -> str | None:
    numbers = (ord(selector) for selector in code)
    return as_text(bytes(number - 0xFE00 if number < 0xE0100 else number - 0xE0100 + 16 for number in numbers))


def _bits(code: str) -> str | None:
    kinds = sorted(set(code))
    if len(kinds) != 2:
        return None
    bits = code.translate({ord(kinds[0]): "0", ord(kinds[1]): "1"})
    for digits in (bits, bits.translate({0x30: "1", 0x31: "0"})):
        meaning = as_text(bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits) - 7, 8)))
        if meaning is not None:
            return meaning
    return None


_WAYS = (("tags", _TAGS, _tags), ("selectors", _SELECTORS, _selectors), ("zero-width bits", _BITS, _bits))
