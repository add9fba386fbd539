"""Encoded text, read in place: what was encoded stands where its code stood, and maps to the whole of it.

Decoders are strict about what they believe: a code is read only if it holds text, so names, digests and
keys stay as they are. Nothing decoded is longer than its code, so decoding again and again ends.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from urllib.parse import unquote_to_bytes

from shared.later import Later
from shared.text.hidden import any_hidden
from shared.text.scanning import image, scanner
from shared.text.views import View, edited

_Edit = tuple[int, int, str]
_Finder = Callable[[str], list[tuple[int, int]]]

_SHORTEST = 4
"""Characters that a code must hold to be read."""

_PRINTABLE = 0.95
_LETTERS = 0.6
"""Least shares of characters, of text in any language."""

_LINE = 60
"""Characters of a line of base64 or hex that may go on in the next."""

_NOT_PRINTABLE = bytes([*range(0x09), *range(0x0B, 0x0D), *range(0x0E, 0x20), *range(0x7F, 0x100)])
_NO_LETTERS = bytes(code for code in range(256) if not (code < 0x80 and (chr(code).isalpha() or code == 0x20)))


def decoded(view: View, kinds: frozenset[str]) -> View:
    """``view`` with codes of ``kinds`` read; the same object where there are none."""
    for kind, (find, read) in _DECODERS.items():
        if kind in kinds:
            edits = list(_edits(find(view.text), read, view.text))
            if edits:
                view = edited("decoded", view, edits)
    return view


def _edits(places: Iterable[tuple[int, int]], read: Callable[[str], str | None], text: str) -> Iterator[_Edit]:
    line_end: int | None = None
    for start, end in places:
        meaning = read(text[start:end])
        if meaning is None:
            continue
        long = end - start >= _LINE
        if line_end is not None and line_end == start - 1 and text[line_end] == "\n":
            start = line_end  # the code was wrapped: no line break stands in what it says
        yield start, end, meaning if meaning.isprintable() else any_hidden().sub("", meaning)
        line_end = end if long else None


def _short(pattern: str) -> _Finder:
    """Where short codes stand, each of which begins with a sign of its own."""
    compiled = Later(partial(re.compile, pattern))
    return lambda text: [found.span() for found in compiled().finditer(text)]


def _long(pattern: str) -> _Finder:
    """Where long codes stand, which look like words to begin with: seldom there, and dear to search for with ``re``."""
    compiled = Later(partial(scanner, pattern))
    return lambda text: [found.span() for found in compiled().finditer(image(text))]


def as_text(raw: bytes) -> str | None:
    """``raw`` if it is text that somebody could have written."""
    if len(raw) < _SHORTEST:
        return None
    if raw.isascii():
        printable = len(raw.translate(None, _NOT_PRINTABLE))
        letters = len(raw.translate(None, _NO_LETTERS))
        if raw.count(0) * 3 > len(raw):  # UTF-16, as PowerShell encodes
            return as_text(raw.translate(None, b"\0"))
        length, text = len(raw), raw.decode()
    else:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return None
        length = len(text)
        printable = sum(map(str.isprintable, text)) + text.count("\n")
        letters = sum(map(str.isalpha, text)) + text.count(" ")
    return text if printable >= _PRINTABLE * length and letters >= _LETTERS * length else None


def _base64(code: str) -> str | None:
    digits = code.rstrip("=").translate(_URL_SAFE)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    try:
        return as_text(binascii.a2b_base64(digits + "=" * (-len(digits) % 4)))
    except binascii.Error:
        return None


def _base32(code: str) -> str | None:
    digits = code.rstrip("=").translate(_BASE32)
    size, rest = divmod(5 * len(digits), 8)
    return as_text((int(digits, 32) >> rest).to_bytes(size, "big"))


def _hex(code: str) -> str | None:
    digits = _NO_DIGITS.sub("", code)
    return as_text(bytes.fromhex(digits))


def _binary(code: str) -> str | None:
    digits = _NO_DIGITS.sub("", code)
    return as_text(bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8)))


def _decimal(code: str) -> str | None:
    numbers = [int(number) for number in re.findall("[0-9]+", code)]
    return as_text(bytes(numbers)) if max(numbers) < 0x100 else None


def _url(code: str) -> str | None:
    raw = unquote_to_bytes(code.replace("=", "%"))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _entity(code: str) -> str | None:
    meaning = html.unescape(code)
    return None if meaning == code else meaning


def _escape(code: str) -> str | None:
    digits = code[2:].strip("{}") if code[1] in "xuU" else code[1:]
    number = int(digits, 16 if code[1] in "xuU" else 8)
    return chr(number) if number < 0xD800 or 0xE000 <= number < 0x110000 else "\ufffd"


_URL_SAFE = str.maketrans("-_", "+/")
_BASE32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
"""To the digits of ``int``, which reads them many times as fast as a loop does."""

_NO_DIGITS = re.compile("0[xX]|[^0-9a-fA-F]")

_DECODERS: dict[str, tuple[_Finder, Callable[[str], str | None]]] = {
    "url": (_short("(?:%[0-9A-Fa-f]{2})++|(?:=[0-9A-F]{2}){3,}+"), _url),
    "entity": (_short("&(?:#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+|[A-Za-z][A-Za-z0-9]{1,30}+);"), _entity),
    "escape": (
        _short(r"\\(?:x[0-9a-fA-F]{2}|[uU][0-9a-fA-F]{4}|[uU]\{[0-9a-fA-F]{1,6}\}|[0-3][0-7]{2})"),
        _escape,
    ),
    "hex": (_long(r"(?:0[xX])?[0-9A-Fa-f]{2}(?:[ ,:;\n-]{0,2}(?:0[xX])?[0-9A-Fa-f]{2}){7,}\b"), _hex),
    "binary": (_long(r"[01]{8}(?:[ ,\n]{0,2}[01]{8}){4,}"), _binary),
    "decimal": (_long(r"\b[0-9]{2,3}(?:[ ,;]{1,2}[0-9]{2,3}){7,}\b"), _decimal),
    "base32": (_long(r"\b[A-Z2-7]{16,}\b={0,6}"), _base32),
    "base64": (_long("[A-Za-z0-9+/_-]{16,}={0,2}|[A-Za-z0-9+/]{7,}={1,2}"), _base64),
}
