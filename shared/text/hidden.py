"""Characters that nobody sees: none of them goes on to the model or to the client.

Controls, invisible characters, bidirectional controls and tags can carry orders past a reader's eye or
tear a word apart before a guard's. Two kinds have honest uses and stay where those are: joiners and
variation selectors right after a character of the scripts and symbols that are written with them
(Persian, Hindi, emoji); everywhere else they go too.
"""

from __future__ import annotations

import re

import re2  # type: ignore[import-untyped]  # ships no types

from shared.later import Later

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
"""C0 and C1 controls and DEL, but for tab and newline."""

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Unicode's ``Default_Ignorable_Code_Point`` but for what ``_BOUND`` has, and the interlinear annotation's three."""

_BOUND = "\u200c\u200d\ufe0e\ufe0f\u180b-\u180d\u180f"
"""Joiners, the selectors of text and emoji style, Mongolian selectors."""

_BINDING = (
    "\u0600-\u061b\u061d-\u115e\u1161-\u17b3\u17b6-\u180a\u1810-\u1cff\u2190-\u3163\u3165-\ufdff\U0001f000-\U0001faff"
)
"""What a joiner or selector may follow: Arabic and the scripts after it, symbols, CJK, emoji."""

_ANY = f"[{_CONTROLS}{_INVISIBLE}{_BOUND}]"
"""Every character that is, or may be, taken out. A class of ranges, so it cannot backtrack."""

_ANY_BYTES = re2.compile(_ANY.encode())
"""The same, over UTF-8: ten times faster."""

_HIDDEN = (
    f"[{_CONTROLS}{_INVISIBLE}]+"
    f"|[{_BOUND}](?<![{_BINDING}][{_BOUND}])(?<![{_BINDING}]\ufe0f[{_BOUND}])(?<![0-9#*]\ufe0f)"
)
"""What is taken out. It depends on the two characters before it and on nothing else; a keycap's ``\\ufe0f`` stays."""


@Later
def any_hidden() -> re.Pattern[str]:
    """Matches every character that is, or may be, taken out."""
    return re.compile(_ANY)


@Later
def _hidden() -> re.Pattern[str]:
    return re.compile(_HIDDEN)


CONTEXT = 2
"""Characters before a hidden one that decide whether it is one."""

_ASCII_CONTROL = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])


def has_hidden(text: str) -> bool:
    """Whether ``text`` holds a character that its canonical view would not, or might not."""
    if text.isascii():
        encoded = text.encode()  # deleting from bytes is several times faster than searching with a regex
        return len(encoded.translate(None, _ASCII_CONTROL)) != len(encoded)
    return _ANY_BYTES.search(text.encode()) is not None


def hidden_ranges(text: str, start: int = 0) -> list[tuple[int, int]]:
    """The ranges of ``text`` from ``start`` on that its canonical view leaves out, in order and apart."""
    return [found.span() for found in _hidden().finditer(text, start)] if has_hidden(text) else []
