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
_SMALL_WORDS = bytes(ord(chr(code).lower()) if code < 0x80 and chr(code).isalpha() else 0x20 for code in range(256))
"""Capitals to small letters, and to blanks what is no ASCII letter."""

_ENOUGH = 2
"""Different words of orders that turned or shifted text must hold to be read, or known ones of any kind, if it holds
more of them than it does as it stands."""

_LEAST_KNOWN = 0.1
"""The least share of its different words that must be known then: random letters make some words, too."""

_MANY = 1000
"""Different words among which one of orders says something beside another known one only: random letters make some."""

_BESIDE = 2
"""Words on either side of one."""

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
        for source, text in _first_to_say_more(texts, OTHER_SCRIPTS):
            yield Mirrored("reversed", text, source=source)
            yield _words_mirrored(source)


def _first_to_say_more(
    texts: Iterable[tuple[View, str]], others: frozenset[str] = frozenset()
) -> Iterator[tuple[View, str]]:
    return islice((each for each in texts if _says_more(each[1], each[0].text, others)), 1)


def _says_more(text: str, as_it_stands: str, others: frozenset[str]) -> bool:
    """Whether ``text`` reads like words to a model: two of orders, or more known words than the text as it stands.

    ``others`` are words in other scripts that say so, too; none where the text stands in them as it is written.
    """
    words = _words_of(text)
    found = set(words)
    orders = found & _LONG_ORDERS
    if len(orders) >= _ENOUGH:
        return True
    if orders and not found.isdisjoint(PARTICLES) and (len(found) < _MANY or _is_in_company(words, *orders)):
        return True
    if not text.isascii() and any(word in text for word in others):
        return True
    known = found & _KNOWN
    if len(known) < _LEAST_KNOWN * len(found) or (len(known) < _ENOUGH and found.isdisjoint(ORDERS)):
        return False
    return len(known) > len(_KNOWN.intersection(_words_of(as_it_stands)))


def _is_in_company(words: Sequence[str], order: str) -> bool:
    """Whether ``order`` stands beside another known word somewhere in ``words``."""
    return any(
        word != order and (word in _KNOWN or word in PARTICLES)
        for at, each in enumerate(words)
        if each == order
        for word in words[max(at - _BESIDE, 0) : at + _BESIDE + 1]
    )


def _words_of(text: str) -> list[str]:
    """The words of ASCII letters in ``text``, small: a tenth of what ``re`` takes for them."""
    return text.encode().translate(_SMALL_WORDS).decode().split()


def _words_mirrored(view: View) -> View:
    """``view`` with each word backwards, and the words in their order."""
    text = view.text
    return Edited(
        "words reversed",
        _WORD.sub(lambda word: word.group()[::-1], text),
        source=view,
        edits=lambda: (Edit(*word.span(), len(word.group())) for word in _WORD.finditer(text)),
    )
