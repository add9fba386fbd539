"""Folding: one plain form for what only looks different, so that rules need know words in one spelling only.

Compatibility forms (NFKC) such as full-width, mathematical and circled letters become plain letters;
combining marks of Latin, Greek and Cyrillic letters go; white space of every kind becomes a space or a
newline; invisible characters go; and in words that mix scripts, or hold nothing but lookalikes, lookalikes
become Latin letters. So a Russian word stays Russian, and a Latin word with one Cyrillic letter becomes Latin.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import partial

from shared.later import Later
from shared.text.confusables import ASCII, LOOKALIKES
from shared.text.hidden import any_hidden
from shared.text.views import Edit, Edited, View

_LONGEST = 4
"""Characters that one may become. Some become 18, and 32 kB of those half a megabyte."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SPELT = {  # й and ё stand for themselves, since they are letters of their own
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True)),  # small capitals; x has none
    **dict(zip("ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ", "acefghijkmrtvwy", strict=True)),  # turned letters
    **{chr(0x1F150 + index): letter for index, letter in enumerate(_LETTERS)},  # white on black circles
    **{chr(0x1F170 + index): letter for index, letter in enumerate(_LETTERS)},  # white on black squares
    **{chr(0x1F1E6 + index): letter for index, letter in enumerate(_LETTERS)},  # regional indicators
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "ı": "i", "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "′": "'",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "⁄": "/", "∕": "/", "•": "*", "·": ".",
    "、": ",", "。": ".", "「": '"', "」": '"', "『": '"', "』": '"', "《": '"', "》": '"', "【": "[", "】": "]",
    "،": ",", "؟": "?", "؛": ";", "…": "...", "й": "й", "Й": "Й", "ё": "ё", "Ё": "Ё",
    "\u2028": "\n", "\u2029": "\n", "\u2800": " ", "\u1680": " ",
}  # fmt: skip
"""What Unicode's data leaves as it is, and readers do not."""

_MARKS = Later(
    partial(re.compile, "[\u0300-\u036f\u0483-\u0489\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
)
_MARKED_SCRIPTS = "\u0530"
"""Latin, Greek and Cyrillic lie before it: their letters keep their meaning without marks, others' may not."""

_STRICT = str.maketrans(LOOKALIKES, ASCII)
_LOOSE = _STRICT | str.maketrans("вгкмнптьαβγεηικνρτυχω", "brkmhntbabyenikvptuxw")
"""For words that hold Latin letters already, so that every letter stands for one; Unicode has these apart."""

_NOT_ASCII = re.compile("[^\x00-\x7f]+(?:[\x00-\x7f][^\x00-\x7f]+)*+")
"""And what stands alone between two such runs, as blanks do: few long runs cost less than many short ones."""

_REST = re.compile(r"[^\W_]*+")
"""Of a word."""

_LATIN = re.compile("[A-Za-z]")


@Later
def _lookalike() -> re.Pattern[str]:
    """A letter that may be one, of which the rare ones are a range: ``re`` would try each of them for every letter."""
    letters = sorted(letter for letter in map(chr, _LOOSE) if letter.isalnum())
    rare = [letter for letter in letters if letter > "\uffff"]
    return re.compile(rf"[{''.join(letters[: -len(rare)])}{rare[0]}-{rare[-1]}](?<=[^\W_])")


class _Spellings(dict[int, str]):
    """Each character's plain form, worked out when it is first met; as ``str.translate`` takes it."""

    def __missing__(self, code: int) -> str:
        spelt = _spell(chr(code))
        if len(self) < 65_536:  # all scripts in use; a text of every code point must not fill the memory
            self[code] = spelt
        return spelt


def fold(view: View) -> View:
    """``view`` in plain form; the same object where it is so already."""
    text = view.text
    if text.isascii():
        return view
    folded = _NOT_ASCII.sub(_plain, text)  # twice as fast as to translate all of it
    if not folded.isascii():
        folded = _without_lookalikes(folded)
    if folded == text:
        return view
    return Edited("folded", folded, source=view, edits=lambda: _edits(text))


def _edits(text: str) -> Iterator[Edit]:
    for run in _NOT_ASCII.finditer(text):
        for index, character in enumerate(run.group(), run.start()):
            length = len(_SPELLINGS[ord(character)])
            if length != 1:
                yield Edit(index, index + 1, length)


def _plain(found: re.Match[str]) -> str:
    return found.group().translate(_SPELLINGS)


def _without_lookalikes(text: str) -> str:
    """``text`` with the words that hold lookalikes read as what they are meant for; no other word is looked at."""
    pieces: list[str] = []
    at = 0
    while (found := _lookalike().search(text, at)) is not None:
        start, end = found.span()
        while start > at and text[start - 1].isalnum():
            start -= 1
        pieces.append(text[at:start])
        at = _REST.match(text, end).end()  # type: ignore[union-attr]  # it matches anywhere
        pieces.append(_latin(text[start:at]))
    pieces.append(text[at:])
    return "".join(pieces)


def _latin(word: str) -> str:
    """The word with lookalikes as Latin letters, if it is meant to be read as one."""
    if _LATIN.search(word):
        return word.translate(_LOOSE)
    latin = word.translate(_STRICT)
    return latin if latin.isascii() else word


def _spell(character: str) -> str:
    if character in _SPELT:
        return _SPELT[character]
    if character.isascii():
        return character
    if any_hidden().match(character):
        return ""
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) > _LONGEST:
        return character
    return "".join(_SPELT.get(each, _unmarked(each)) for each in plain)


def _unmarked(character: str) -> str:
    if _MARKS().match(character):
        return ""
    bare = unicodedata.normalize("NFD", character)[0]
    return bare if bare < _MARKED_SCRIPTS else character


_SPELLINGS = _Spellings({code: chr(code) for code in range(0x80)})
