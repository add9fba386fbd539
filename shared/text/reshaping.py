"""Words pulled apart, run together, written in digits or scrambled, and put right again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from shared.text.lexicon import PARTICLES, WORDS
from shared.text.scanning import scanner
from shared.text.triggers import SCRAMBLED
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
_LONG = re.compile("[A-Za-z]{5,}")
_LEET = str.maketrans("013457@$!|+89", "oieastasiltbg")
_LEET_L = str.maketrans("013457@$!|+89", "oleastasiltbg")
_LONGEST = 24
"""Characters of a word in digits and signs; what is longer is a number or a code."""

_GLUED = re.compile("(?<![A-Za-z])[A-Za-z]{16,}+")
_COVERED = 0.8
"""Least share of a long word that must be known words for it to be taken apart."""

_KNOWN = WORDS | PARTICLES
_KNOWN_WORDS = scanner(f"(?i)(?:{'|'.join(sorted(_KNOWN))})", longest=True)
_IN_ORDER = {(word[0], word[-1], "".join(sorted(word[1:-1]))): word for word in sorted(SCRAMBLED)}

_Edit = tuple[int, int, str]


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
        if not breaks:
            breaks = _word_ends(_GAP.sub("", letters))
        yield from ((start, end, " " if index in breaks else "") for index, (start, end, _) in enumerate(gaps))


def _apart(text: str) -> Iterator[_Edit]:
    """Words written without spaces, with spaces."""
    for run in _GLUED.finditer(text):
        for end in sorted(_word_ends(run.group())):
            place = run.start() + end
            yield place, place + 1, f"{text[place]} "


def _word_ends(letters: str) -> set[int]:
    """The indices of the last letters of the words that ``letters`` is made of; none if not of known ones."""
    ends: set[int] = set()
    covered = 0
    for word in _KNOWN_WORDS.finditer(letters.encode()):
        start, end = word.span()
        covered += end - start
        ends |= {start - 1, end - 1}
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
    if spelt.lower() not in _KNOWN:
        other = stem.translate(_LEET_L)
        if other.lower() in _KNOWN:
            spelt = other
        elif not _LATIN.search(stem):
            spelt = stem
    return spelt + token[len(stem) :]


def _in_order(text: str) -> Iterator[_Edit]:
    """Words whose inner letters are in disorder."""
    for found in _LONG.finditer(text):
        word = found.group().lower()
        meant = _IN_ORDER.get((word[0], word[-1], "".join(sorted(word[1:-1]))))
        if meant is not None and meant != word:
            yield *found.span(), meant


_WAYS: dict[str, Callable[[str], Iterator[_Edit]]] = {
    "spaced": _together,
    "glued": _apart,
    "noise": _quiet,
    "leet": _spelt,
    "typos": _in_order,
}
