"""What a text says behind its disguises: folded, decoded, reshaped, turned around.

Each reading is another view, made only where a cheap look gives reason to. Decoding goes on while it finds
something, up to a depth, and what comes out at last is one reading; of each other kind there is at most one. None
is longer than its text, but for folding (see there). So all readings together cost linear time and space.
"""

from __future__ import annotations

import re

from shared.text.decoding import decoded
from shared.text.folding import fold
from shared.text.lexicon import PARTICLES, WORDS
from shared.text.reshaping import reshaped
from shared.text.smuggled import smuggled
from shared.text.triggers import rot13, triggered
from shared.text.views import Edit, Edited, Mirrored, View

DEPTH = 4
"""Rounds of decoding, each of which reads codes of every kind."""

_WORD = re.compile("[A-Za-z]+")
_ENOUGH = 2
"""Different words of orders that turned or shifted text must hold to be read."""


def disguised(original: str, base: View) -> tuple[View, ...]:
    """What ``base``, which is a view of ``original``, says behind its disguises; nothing where it wears none."""
    readings: list[View] = []
    hidden = smuggled(original) if len(base.text) != len(original) else []
    for start in (base, *hidden):
        plain = fold(start)
        if plain is not base:
            readings.append(plain)
        view, kinds = plain, triggered(plain.text)
        for _ in range(DEPTH):
            if not kinds or (inner := decoded(view, kinds)) is view:
                break
            view = fold(inner)
            kinds = triggered(view.text)
        if view is not plain:
            readings.append(view)
        if kinds:  # only now: what is in a code is no misspelt word
            readings += _undone(view, kinds)
    return tuple(readings)


def _undone(view: View, kinds: frozenset[str]) -> list[View]:
    """``view`` with what was done to its letters and words undone."""
    found: list[View] = []
    plain = reshaped(view, kinds)
    if plain is not view:
        found.append(plain)
    if "rot13" in kinds and _orders(text := rot13(view.text)):
        found.append(Edited("rot13", text, source=view))
    if "reversed" in kinds and _orders(text := view.text[::-1]):
        found.append(Mirrored("reversed", text, source=view))
        found.append(_words_mirrored(view))
    return found


def _orders(text: str) -> bool:
    """Whether ``text`` reads like words to a model."""
    found = {word.lower() for word in _WORD.findall(text)}
    return len(found & WORDS) + min(len(found & PARTICLES), 1) >= _ENOUGH


def _words_mirrored(view: View) -> View:
    """``view`` with each word backwards, and the words in their order."""
    text = view.text
    return Edited(
        "words reversed",
        _WORD.sub(lambda word: word.group()[::-1], text),
        source=view,
        edits=lambda: (Edit(*word.span(), len(word.group())) for word in _WORD.finditer(text)),
    )
