"""Words pulled apart, run together, written in digits or scrambled, and put right again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.text.lexicon import PARTICLES, WORDS
from shared.text.scanning import image, overlapping, scanner
from shared.text.triggers import SCRAMBLED, SCRAMBLED_PATTERN
from shared.text.views import Edited, View, edited

_SPACED = scanner(r"\b(?:[A-Za-z0-9][^A-Za-z0-9]{1,12}){4,}[A-Za-z0-9]\b")
_GAP = scanner("[^A-Za-z0-9]+")
_NOISE = scanner(
    r"[A-Za-z0-9]((?:[*`~^|\\]{1,4}|__|</?[A-Za-z][^<>]{0,40}>|<!--[^<>]{0,80}-->|\[\]|\(\)|\{\}"
    r"|[\"'] ?[+.] ?[\"'])+)[A-Za-z0-9]"
)
_SIGN = "[013457@$!|+]"
_MIXED = scanner(rf"[A-Za-z0-9@$!|+]*(?:[A-Za-z]{_SIGN}|{_SIGN}[A-Za-z])[A-Za-z0-9@$!|+]*|\b[0134579@$]{{2,4}}\b")
_SCRAMBLED = scanner(f"(?i){SCRAMBLED_PATTERN}")
_LEET = str.maketrans("013457@$!|+89", "oieastasiltbg")
_LEET_L = str.maketrans("013457@$!|+89", "oleastasiltbg")
_LONGEST = 24
"""Characters of a word in digits and signs; what is longer is a number or a code."""

_GLUED = scanner("[A-Za-z]{16,}")
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
    """Letters that stand apart, as words: they end where the gap is wider, or blank among gaps that are not."""
    for run in _SPACED.finditer(image(text)):
        first, letters = run.start(), run.group()
        gaps = [(gap.start() + first, gap.end() + first) for gap in _GAP.finditer(letters)]
        narrowest = min(end - start for start, end in gaps)
        blank = [not text[start:end].strip() for start, end in gaps]
        inked = 2 * sum(blank) < len(gaps)
        breaks = {
            index
            for index, (start, end) in enumerate(gaps)
            if end - start > narrowest or (inked and any(map(str.isspace, text[start:end])))
        }
        if not breaks:
            breaks = _word_ends(_GAP.sub(b"", letters))
        yield from ((start, end, " " if index in breaks else "") for index, (start, end) in enumerate(gaps))


def _apart(text: str) -> Iterator[_Edit]:
    """Words written without spaces, with spaces."""
    for run in _GLUED.finditer(image(text)):
        for end in sorted(_word_ends(run.group())):
            place = run.start() + end
            yield place, place + 1, f"{text[place]} "


def _word_ends(letters: bytes) -> set[int]:
    """The indices of the last letters of the words that ``letters`` is made of; none if not of known ones."""
    ends: set[int] = set()
    covered = 0
    for word in _KNOWN_WORDS.finditer(letters):
        covered += word.end() - word.start()
        ends |= {word.start() - 1, word.end() - 1}
    return ends - {-1, len(letters) - 1} if covered >= _COVERED * len(letters) else set()


def _quiet(text: str) -> Iterator[_Edit]:
    """Words without mark-up inside them."""
    return ((start, end, "") for start, end in overlapping(_NOISE, image(text)))


def _spelt(text: str) -> Iterator[_Edit]:
    """Words whose letters were replaced by digits and signs."""
    for found in _MIXED.finditer(image(text)):
        token = found.group().decode()
        if len(token) <= _LONGEST and (spelt := _letters(token)) != token:
            yield *found.span(), spelt


def _letters(token: str) -> str:
    stem = token.rstrip("!|+")
    spelt = stem.translate(_LEET)
    if spelt.lower() not in _KNOWN:
        other = stem.translate(_LEET_L)
        if other.lower() in _KNOWN:
            spelt = other
        elif not any(map(str.isalpha, stem)):
            spelt = stem
    return spelt + token[len(stem) :]


def _in_order(text: str) -> Iterator[_Edit]:
    """Words whose inner letters are in disorder."""
    for found in _SCRAMBLED.finditer(image(text)):
        word = found.group().decode().lower()
        meant = _IN_ORDER.get((word[0], word[-1], "".join(sorted(word[1:-1]))))
        if meant is not None:
            yield *found.span(), meant


_WAYS: dict[str, Callable[[str], Iterator[_Edit]]] = {
    "spaced": _together,
    "glued": _apart,
    "noise": _quiet,
    "leet": _spelt,
    "typos": _in_order,
}
