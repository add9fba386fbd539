"""One cheap look that says which disguises a text may wear: nearly all texts wear none, and are done with here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import re2  # type: ignore[import-untyped]  # ships no types

from shared.later import Later
from shared.text.lexicon import ORDERS, OTHER_SCRIPTS, PARTICLES, WORDS

_PLANTED = b"\x1f"
"""Given to the set with every text, since it answers None both for "no match" and for its own failure."""


def _turned(words: frozenset[str]) -> str:
    return "|".join(sorted(word[::-1] for word in words))


def _shifted(words: frozenset[str]) -> str:
    return "|".join(sorted(rot13(word) for word in words))


def _scrambled(word: str) -> str:
    """A pattern a little too wide: it knows which letters stand between first and last, but not how often."""
    first, inner, last = word[0], word[1:-1], word[-1]
    letters = set(inner)
    ways = []
    for index, letter in enumerate(inner):  # where it departs from the word for the first time
        others = "".join(sorted(letters - {letter}))
        if others:
            rest = len(inner) - index - 1
            ways.append(f"{inner[:index]}[{others}][{''.join(sorted(letters))}]{{{rest}}}")
    return f"{first}(?:{'|'.join(ways)}){last}"


def rot13(text: str) -> str:
    """``text`` with ASCII letters shifted by 13 places."""
    return text.translate(_ROT13)


_LOWER = "abcdefghijklmnopqrstuvwxyz"
_ROT13 = str.maketrans(_LOWER + _LOWER.upper(), _LOWER[13:] + _LOWER[:13] + _LOWER[13:].upper() + _LOWER[:13].upper())

SCRAMBLED = frozenset(word for word in WORDS if len(word) >= 5 and word != "context")
"""Words long enough to be told when their inner letters are in disorder, but for one that "content" comes close to."""

_TURNED = ORDERS | {word for word in PARTICLES if len(word) > 3} | {"and", "the", "you"}
"""Of short words only those that are no words the other way round."""


def _words() -> dict[str, str]:
    return {
        "typos": rf"\b(?:{'|'.join(sorted(map(_scrambled, SCRAMBLED)))})\b",
        "rot13": rf"\b(?:{_shifted(_TURNED)})\b",
        "reversed": rf"\b(?:{_turned(_TURNED)})\b|{_turned(OTHER_SCRIPTS)}",
    }


_SIGNS: tuple[dict[str, str], ...] = (
    {
        "url": r"%[0-9a-f]{2}|(?:=[0-9A-F]{2}){3}",
        "entity": r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});",
        "escape": r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]{1,6}\}|[0-3][0-7]{2})",
        "leet": r"[a-z][013457@$!|+]{1,2}[a-z]|(?:^|[^a-z0-9])[013457@$!|+]{1,2}[a-z]{2}",
        "noise": r"[a-z](?:[*`~^|\\]{1,4}|__|</?[a-z][^<>]*>|<!--|\[\]|\(\)|\{\}|[\"'] ?[+.] ?[\"'])[a-z]",
    },
    {
        "base64": r"[A-Za-z0-9+/_-]{16}|[A-Za-z0-9+/]{7}=",
        "base32": r"(?-i:[A-Z2-7]{16})",
        "glued": r"[a-z]{16}",
    },
    {
        "hex": r"(?:(?:0x)?[0-9a-f]{2}[ ,:;\n-]{0,2}){8}",
        "binary": r"(?:[01]{8}[ ,\n]{0,2}){5}",
        "decimal": r"(?:[0-9]{2,3}[ ,;]{1,2}){7}[0-9]{2}",
        "spaced": r"(?:^|[^a-z0-9])[a-z0-9](?:[^a-z0-9]+[a-z0-9]){4}(?:[^a-z0-9]|$)",
    },
)
"""Read as bytes of UTF-8, in sets that count little at once: one set of all explores new states for as long as a random
text lasts, and takes 40 ms for 32 kB of it; these take 1 ms."""


class _Look(NamedTuple):
    """A compiled set."""

    patterns: re2.Set
    names: tuple[str, ...]
    """By index; the planted one is next."""


def _compiled(patterns: Mapping[str, str]) -> _Look:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 * 1024 * 1024
    compiled = re2.Set.SearchSet(options)
    for pattern in patterns.values():
        compiled.Add(pattern.encode())
    compiled.Add(_PLANTED)
    compiled.Compile()
    return _Look(compiled, tuple(patterns))


_LOOKS = (Later(lambda: _compiled(_words())), *(Later(partial(_compiled, signs)) for signs in _SIGNS))


def triggered(text: str) -> frozenset[str]:
    """The disguises that ``text`` may wear; all that a look knows if it failed."""
    encoded = text.encode() + _PLANTED
    names: list[str] = []
    for compiled in _LOOKS:
        look = compiled()
        found = look.patterns.Match(encoded)
        if found is None or len(look.names) not in found:
            names += look.names
        elif len(found) > 1:
            names += (look.names[index] for index in found if index < len(look.names))
    return frozenset(names)
