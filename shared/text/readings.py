"""What a text says behind its disguises: folded, decoded, reshaped, turned around.

Each reading is another view, made only where a cheap look gives reason to. Decoding goes on while it finds
something, up to a depth, and what comes out at last is one reading. What stood backwards is decoded and reshaped
again, but not turned again. None is longer than its text, but for folding (see there). So there are a few readings
at most, and all together cost linear time and space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from shared.text.decoding import decoded
from shared.text.folding import fold
from shared.text.lexicon import ORDERS, OTHER_SCRIPTS, PARTICLES, VOCABULARY
from shared.text.reshaping import reshaped
from shared.text.smuggled import smuggled
from shared.text.triggers import rot13, triggered
from shared.text.views import Edit, Edited, Mirrored, View

DEPTH = 4
"""Rounds of decoding, each of which reads codes of every kind."""

_WORD = re.compile("[A-Za-z]+")
_ENOUGH = 2
"""Different words of orders that turned or shifted text must hold to be read, or known ones of any kind, if it holds
more of them than it does as it stands."""

_LEAST_KNOWN = 0.1
"""The least share of its different words that must be known then: random letters make some words, too."""

_LONG_ORDERS = frozenset(word for word in ORDERS if len(word) > 4)
"""Which random letters hardly make."""

_KNOWN = frozenset(word for word in VOCABULARY | ORDERS if len(word) > 2)
"""Shorter ones are words either way round."""


def disguised(original: str, base: View) -> tuple[View, ...]:
    """What ``base``, which is a view of ``original``, says behind its disguises; nothing where it wears none."""
    readings: list[View] = []
    hidden = smuggled(original) if len(base.text) != len(original) else []
    for start in (base, *hidden):
        plain = fold(start)
        if plain is not base:
            readings.append(plain)
        cleared, kinds = _cleared(plain)
        readings += cleared
        for turned in _turned([plain, *cleared], kinds):
            readings.append(turned)
            if isinstance(turned, Mirrored):  # where codes and digits for letters stood backwards, too
                readings += _cleared(turned)[0]
    return tuple(readings)


def _cleared(plain: View) -> tuple[list[View], frozenset[str]]:
    """``plain`` decoded, and that reshaped, where either changes it; and which disguises the last of them may wear."""
    view, kinds = plain, triggered(plain.text)
    for _ in range(DEPTH):
        if not kinds or (inner := decoded(view, kinds)) is view:
            break
        view = fold(inner)
        kinds = triggered(view.text)
    found = [] if view is plain else [view]
    shaped = reshaped(view, kinds) if kinds else view  # only now: what is in a code is no misspelt word
    if shaped is not view:
        found.append(shaped)
        kinds |= triggered(shaped.text)
    return found, kinds


def _turned(views: Sequence[View], kinds: frozenset[str]) -> Iterator[View]:
    """The clearest of ``views`` read the other way, where it says more so; reshaped, if it must be for that."""
    sources = views[-2:] if views[-1].name == "reshaped" else views[-1:]
    if "rot13" in kinds:
        texts = ((source, rot13(source.text)) for source in sources)
        yield from (Edited("rot13", text, source=source) for source, text in _first_to_say_more(texts))
    if "reversed" in kinds:
        texts = ((source, source.text[::-1]) for source in sources)
        for source, text in _first_to_say_more(texts):
            yield Mirrored("reversed", text, source=source)
            yield _words_mirrored(source)


def _first_to_say_more(texts: Iterable[tuple[View, str]]) -> Iterator[tuple[View, str]]:
    return islice((each for each in texts if _says_more(each[1], each[0].text)), 1)


def _says_more(text: str, as_it_stands: str) -> bool:
    """Whether ``text`` reads like words to a model: two of orders, or more known words than the text as it stands."""
    found = _words_of(text)
    if len(found & _LONG_ORDERS) + min(len(found & PARTICLES), 1) >= _ENOUGH:
        return True
    if not text.isascii() and any(word in text for word in OTHER_SCRIPTS):
        return True
    known = found & _KNOWN
    if len(known) < _LEAST_KNOWN * len(found) or (len(known) < _ENOUGH and found.isdisjoint(ORDERS)):
        return False
    return len(known) > len(_words_of(as_it_stands) & _KNOWN)


def _words_of(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _words_mirrored(view: View) -> View:
    """``view`` with each word backwards, and the words in their order."""
    text = view.text
    return Edited(
        "words reversed",
        _WORD.sub(lambda word: word.group()[::-1], text),
        source=view,
        edits=lambda: (Edit(*word.span(), len(word.group())) for word in _WORD.finditer(text)),
    )
