"""Words pulled apart, written in digits or scrambled, and put right again."""

from __future__ import annotations

import re

import re2  # type: ignore[import-untyped]  # ships no types

from shared.text.lexicon import PARTICLES, WORDS
from shared.text.triggers import SCRAMBLED
from shared.text.views import Edited, View, edited

_SPACED = re.compile(r"(?<![A-Za-z0-9])(?:[A-Za-z0-9][^A-Za-z0-9]{1,12}){4,}[A-Za-z0-9](?![A-Za-z0-9])")
_GAP = re.compile("[^A-Za-z0-9]+")
_NOISE = re.compile(
    r"(?<=[A-Za-z0-9])(?:[*`~^|\\]{1,4}|__|</?[A-Za-z][^<>]{0,40}>|<!--[^<>]{0,80}-->|\[\]|\(\)|\{\}"
    r"|[\"'] ?[+.] ?[\"'])+(?=[A-Za-z0-9])"
)
_MIXED = re.compile(r"[A-Za-z0-9@$!|+]*[A-Za-z][0134579@$]*|[0134579@$]{2,4}")
_DIGIT = re.compile("[013457@$!|+]")
_LEET = str.maketrans("013457@$!|+89", "oieastasiltbg")
_LEET_L = str.maketrans("013457@$!|+89", "oleastasiltbg")
_LONGEST = 24
"""Characters of a word in digits and signs; what is longer is a number or a code."""

_LATIN = re.compile("[A-Za-z]")
_LONG = re.compile("[A-Za-z]{5,}")
_GLUED = re.compile("[A-Za-z]{16,}")
_COVERED = 0.8
"""Least share of a long word that must be known words for it to be taken apart."""

_KNOWN = WORDS | PARTICLES
_IN_ORDER = {(word[0], word[-1], "".join(sorted(word[1:-1]))): word for word in sorted(SCRAMBLED)}


def _known_words() -> re2._Regexp:
    options = re2.Options()
    options.longest_match = True
    options.case_sensitive = False
    return re2.compile("|".join(sorted(_KNOWN)), options)


_KNOWN_WORDS = _known_words()


def reshaped(view: View, kinds: frozenset[str]) -> View:
    """``view`` with disguises of ``kinds`` undone, one after the other; the same object where there are none."""
    if "spaced" in kinds:
        view = _together(view)
    if "glued" in kinds:
        view = _apart(view)
    if "noise" in kinds:
        view = _quiet(view)
    if "leet" in kinds:
        view = _spelt(view)
    if "typos" in kinds:
        view = _in_order(view)
    return view


def _together(view: View) -> View:
    """Letters that stand apart, as words: they end where the gap is wider, or blank among gaps that are not."""
    text = view.text
    edits: list[tuple[int, int, str]] = []
    for run in _SPACED.finditer(text):
        gaps = [(gap.start() + run.start(), gap.end() + run.start(), gap.group()) for gap in _GAP.finditer(run.group())]
        narrowest = min(end - start for start, end, _ in gaps)
        inked = 2 * sum(not gap.strip() for _, _, gap in gaps) < len(gaps)
        breaks = {
            index
            for index, (start, end, gap) in enumerate(gaps)
            if end - start > narrowest or (inked and any(map(str.isspace, gap)))
        }
        if not breaks:
            breaks = _word_ends(_GAP.sub("", run.group()))
        edits += ((start, end, " " if index in breaks else "") for index, (start, end, _) in enumerate(gaps))
    return edited("reshaped", view, edits) if edits else view


def _apart(view: View) -> View:
    """Words written without spaces, with spaces."""
    edits: list[tuple[int, int, str]] = []
    for run in _GLUED.finditer(view.text):
        ends = _word_ends(run.group())
        if ends:
            places = (run.start() + end for end in sorted(ends))
            edits += ((place, place + 1, f"{view.text[place]} ") for place in places)
    return edited("reshaped", view, edits) if edits else view


def _word_ends(letters: str) -> set[int]:
    """The indices of the last letters of the words that ``letters`` is made of; none if not of known ones."""
    ends: set[int] = set()
    covered = 0
    for word in _KNOWN_WORDS.finditer(letters.encode()):
        covered += word.end() - word.start()
        ends |= {word.start() - 1, word.end() - 1}
    return ends - {-1, len(letters) - 1} if covered >= _COVERED * len(letters) else set()


def _quiet(view: View) -> View:
    """Words without mark-up inside them."""
    edits = [(*noise.span(), "") for noise in _NOISE.finditer(view.text)]
    return edited("reshaped", view, edits) if edits else view


def _spelt(view: View) -> View:
    """Words whose letters were replaced by digits and signs."""
    return _replaced(view, _MIXED.sub(_letters, view.text))


def _letters(found: re.Match[str]) -> str:
    token = found.group()
    if len(token) > _LONGEST or not _DIGIT.search(token):
        return token
    spelt = token.translate(_LEET)
    if spelt.lower() in _KNOWN:
        return spelt
    other = token.translate(_LEET_L)
    if other.lower() in _KNOWN:
        return other
    return spelt if _LATIN.search(token) else token


def _in_order(view: View) -> View:
    """Words whose inner letters are in disorder."""
    return _replaced(view, _LONG.sub(_unscrambled, view.text))


def _unscrambled(found: re.Match[str]) -> str:
    word = found.group().lower()
    return _IN_ORDER.get((word[0], word[-1], "".join(sorted(word[1:-1]))), found.group())


def _replaced(view: View, text: str) -> View:
    """``view`` with another text of the same length, character for character."""
    return view if text == view.text else Edited("reshaped", text, source=view)
