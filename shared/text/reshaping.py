"""Words pulled apart, run together, written in digits or scrambled, and put right again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from shared.later import Later
from shared.text.lexicon import VOCABULARY
from shared.text.scanning import scanner
from shared.text.views import Edited, View, edited

_ALONE = "[A-Za-z0-9](?![A-Za-z0-9])"
_SPACED = re.compile(f"(?<![A-Za-z0-9]){_ALONE}(?:[^A-Za-z0-9]{{1,12}}+{_ALONE}){{4,}}+")
_BLANK = re.compile(r"\s")
_GAP = re.compile("[^A-Za-z0-9]+")
_NOISE = re.compile(
    r"(?<=[A-Za-z0-9])(?:[*`~^|\\]{1,4}+|__|</?[A-Za-z][^<>]{0,40}+>|<!--[^<>]{0,80}+>|\[\]|\(\)|\{\}"
    r"|[\"'] ?[+.] ?[\"'])++(?=[A-Za-z0-9])"
)
_MIXED = re.compile(r"(?<![A-Za-z0-9@$!|+])[A-Za-z]*+[0-9@$!|+][A-Za-z0-9@$!|+]*+")
_LATIN = re.compile("[A-Za-z]")
_LONG = re.compile("[A-Za-z]{4,}")
_LEET = str.maketrans("013457@$!|+89", "oieastasiltbg")
_ONE_FOR_L = str.maketrans("l", "i")
"""A 1 stands for i or for l, so words are looked up with neither."""

_LONGEST = 24
"""Characters of a word in digits and signs; what is longer is a number or a code."""

_GLUED_LEAST = 7
"""Letters that stood apart of which more than one word may be made."""

_GLUED = re.compile("(?<![A-Za-z])[A-Za-z]{16,}+")
_COVERED = 0.75
"""Least share of a long word that must be known words for it to be taken apart."""

_MANY_WORDS = 256
_LETTERS_A_WORD = 3
"""So many words in a run have more letters each, or they are none: each that is found costs time, and a character may
stand for a word of two letters."""

_Edit = tuple[int, int, str]


@Later
def _in_digits() -> dict[str, str]:
    """Words by what is left of them when a 1 may be either letter."""
    return {word.translate(_ONE_FOR_L): word for word in sorted(VOCABULARY)}


@Later
def _scrambled() -> dict[tuple[str, str, str], str]:
    """Words by their first letter, their last, and those between in alphabetical order."""
    return {(word[0], word[-1], "".join(sorted(word[1:-1]))): word for word in sorted(VOCABULARY) if len(word) > 3}


@Later
def _known_words() -> Any:
    return scanner(f"(?i)(?:{'|'.join(sorted(VOCABULARY))})", longest=True)


def reshaped(view: View, kinds: frozenset[str]) -> View:
    """``view`` with disguises of ``kinds`` undone, one after the other; the same object where there are none."""
    for kind, undo in _WAYS.items():
        if kind in kinds:
            edits = list(undo(view.text))
            if edits:
                view = _applied(view, edits)
    return view


def _applied(view: View, edits: list[_Edit]) -> View:
    changed = edited("reshaped", view, edits)
    if all(len(replacement) == end - start for start, end, replacement in edits):  # letter for letter
        return Edited("reshaped", changed.text, source=view)
    return changed


def _together(text: str) -> Iterator[_Edit]:
    """Letters that stand apart, as words: they end where the gap is wider, or blank and not the usual one."""
    for run in _SPACED.finditer(text):
        first, letters = run.start(), run.group()
        gaps = [(gap.start() + first, gap.end() + first, gap.group()) for gap in _GAP.finditer(letters)]
        narrowest = min(len(gap) for _, _, gap in gaps)
        usual = Counter(gap for _, _, gap in gaps).most_common(1)[0][0]
        breaks = {
            index
            for index, (_, _, gap) in enumerate(gaps)
            if len(gap) > narrowest or (gap != usual and _BLANK.search(gap))
        }
        breaks |= _glued_ends(_GAP.sub("", letters), sorted(breaks))
        yield from ((start, end, " " if index in breaks else "") for index, (start, end, _) in enumerate(gaps))


def _apart(text: str) -> Iterator[_Edit]:
    """Words written without spaces, with spaces."""
    for run in _GLUED.finditer(text):
        for end in sorted(_word_ends(run.group())):
            place = run.start() + end
            yield place, place + 1, f"{text[place]} "


def _glued_ends(letters: str, breaks: list[int]) -> set[int]:
    """Where words end within the runs of ``letters`` that ``breaks``, indices of their last ones, tell apart."""
    ends: set[int] = set()
    first = 0
    for last in (*breaks, len(letters) - 1):
        if last - first >= _GLUED_LEAST:
            ends |= {first + end for end in _word_ends(letters[first : last + 1])}
        first = last + 1
    return ends


def _word_ends(letters: str) -> set[int]:
    """The indices of the last letters of the words that ``letters`` is made of; none if not of known ones."""
    if letters.lower() in VOCABULARY:
        return set()
    ends: set[int] = set()
    covered = 0
    for count, word in enumerate(_known_words().finditer(letters.encode())):
        start, end = word.span()
        covered += end - start
        ends |= {start - 1, end - 1}
        if count >= _MANY_WORDS and covered < _LETTERS_A_WORD * count:
            return set()
    return ends - {-1, len(letters) - 1} if covered >= _COVERED * len(letters) else set()


def _quiet(text: str) -> Iterator[_Edit]:
    """Words without mark-up inside them."""
    return ((*noise.span(), "") for noise in _NOISE.finditer(text))


def _spelt(text: str) -> Iterator[_Edit]:
    """Words whose letters were replaced by digits and signs."""
    for found in _MIXED.finditer(text):
        token = found.group()
        if len(token) <= _LONGEST and (spelt := _letters(token)) != token:
            yield *found.span(), spelt


def _letters(token: str) -> str:
    stem = token.rstrip("!|+")
    spelt = stem.translate(_LEET)
    meant = _in_digits().get(spelt.lower().translate(_ONE_FOR_L))
    if meant is None:
        meant = spelt if _LATIN.search(stem) else stem
    return meant + token[len(stem) :]


def _in_order(text: str) -> Iterator[_Edit]:
    """Words whose inner letters are in disorder."""
    for found in _LONG.finditer(text):
        word = found.group().lower()
        meant = _scrambled().get((word[0], word[-1], "".join(sorted(word[1:-1]))))
        if meant is not None and word not in VOCABULARY:
            yield *found.span(), meant


_WAYS: dict[str, Callable[[str], Iterator[_Edit]]] = {
    "spaced": _together,
    "glued": _apart,
    "noise": _quiet,
    "leet": _spelt,
    "typos": _in_order,
}
