"""A linear model over hashed n-grams, which weighs a text window by window in linear time.

Each word of a text brings these features, each a bucket: CRC-32 of its UTF-8, cut to ``BUCKETS``.

- The word, in lower case, its inner letters in alphabetical order, so that ``ingore`` is ``ignore``.
- The pair and the triple of such words that end with it; two marks stand before a text's first word.
- Its n-grams of characters, ``<`` and ``>`` standing for its ends: of four characters, or of two in scripts
  that write without blanks.

Each different word, pair and triple of a block of words counts once. A window is two blocks; its score is the sum of
its features' weights over the square root of their number, plus a bias. The characters of a word that was met before
are not weighed again.
"""

from __future__ import annotations

import math
import re
from array import array
from typing import NamedTuple
from zlib import crc32

from msgspec import Struct

BUCKETS = 1 << 18
BLOCK = 32
"""Words in which a word that is repeated counts once."""

WINDOW = 2 * BLOCK
"""Words that are judged together: two blocks, and the next window begins with the second of them."""

WORD = re.compile(r"[^\W_]{1,32}|[^\w\s]{1,4}")
"""Letters and digits, or a few signs. Alternatives that share no character cannot backtrack."""

FIRST_PAIR, FIRST_TRIPLE = 1, 2
"""Stand for the words before a text's first one."""

_MASK = BUCKETS - 1
_CHARACTERS = 0x9E3779B1
"""Start of the checksum for n-grams of characters, so that they are told from words."""

_UNSPACED = "\u2e80"
"""From here on, scripts mostly write without blanks."""

_MOST_KNOWN = 16_384
_LONGEST_KNOWN = 16


class WordFeatures(Struct, frozen=True):
    """A word as its neighbours and its own features see it."""

    key: bytes
    """What stands for it in pairs and triples."""

    checksum: int
    """Of the key."""

    buckets: tuple[int, ...]
    """Of the word and its characters."""


class Window(NamedTuple):
    """Some words of a text, by their number, and what the model says of them."""

    first: int
    end: int
    different: int
    """Words in that of its blocks which has more of them that differ."""

    score: float
    """As log odds."""


class _Weighed(NamedTuple):
    """A word with the sum of its own weights."""

    key: bytes
    checksum: int
    weight: int
    features: int


class LinearModel:
    """Weights by bucket, as small integers. Holds nothing of a text but words of few letters.

    Args:
        weights: One for each bucket.
        scale: What a weight of one stands for.
        bias: Log odds of a text without features.
    """

    def __init__(self, weights: array[int], scale: float, bias: float) -> None:
        if len(weights) != BUCKETS:
            raise ValueError(f"the model has {len(weights)} weights instead of {BUCKETS}")
        self._weights = weights
        self._scale = scale
        self._bias = bias
        self._known: dict[str, _Weighed] = {}

    def windows(self, text: str) -> list[Window]:
        """Every window of ``text``, in order; none where it has no words."""
        words = WORD.findall(text)
        if not words:
            return []
        weighed = {word: self._known.get(word) or self._weigh(word) for word in set(words)}
        read = [weighed[word] for word in words]
        keys = [word.key for word in read]
        pairs = list(map(crc32, keys, (FIRST_PAIR, *[word.checksum for word in read[:-1]])))
        triples = list(map(crc32, keys, (FIRST_TRIPLE, *pairs[:-1])))
        weight_of = self._weights.__getitem__
        weights: list[int] = []
        counts: list[int] = []
        different: list[int] = []
        for start in range(0, len(words), BLOCK):
            end = start + BLOCK
            own = [weighed[word] for word in set(words[start:end])]
            joined = [*{pair & _MASK for pair in pairs[start:end]}, *{triple & _MASK for triple in triples[start:end]}]
            weights.append(sum([word.weight for word in own]) + sum(map(weight_of, joined)))
            counts.append(sum([word.features for word in own]) + len(joined))
            different.append(len(own))
        return [
            Window(
                first,
                min(first + WINDOW, len(words)),
                max(different[block : block + 2]),
                self._bias + self._scale * sum(weights[block : block + 2]) / math.sqrt(sum(counts[block : block + 2])),
            )
            for block, first in enumerate(starts(len(words)))
        ]

    def moved(self, by: float) -> LinearModel:
        """The same weights with another bias."""
        return LinearModel(self._weights, self._scale, self._bias + by)

    def _weigh(self, word: str) -> _Weighed:
        read = word_features(word)
        weight = sum([self._weights[bucket] for bucket in read.buckets])
        weighed = _Weighed(read.key, read.checksum, weight, len(read.buckets))
        # Only letters and few of them, or signs, are remembered: no key or token outlives its request.
        if len(word) <= _LONGEST_KNOWN and (word.isalpha() or not word[0].isalnum()):
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[word] = weighed
        return weighed


def starts(words: int) -> range:
    """Where the windows over so many words begin; together they hold every word, and most words are in two."""
    return range(0, max(words - BLOCK, 1), BLOCK)


def word_features(word: str) -> WordFeatures:
    """The features that a word brings wherever it stands."""
    lower = word.lower()
    digits = lower.isdigit()
    key = b"0 " if digits else f"{_shape(lower)} ".encode()
    checksum = crc32(key)
    buckets = [checksum & _MASK]
    if lower[0].isalnum() and not digits:
        buckets += _of_characters(f"<{lower}>")
    return WordFeatures(key, checksum, tuple(buckets))


def _of_characters(framed: str) -> list[int]:
    """The buckets of a word's n-grams of characters."""
    if framed.isascii():  # a byte each: cut after encoding, which halves the time
        data = framed.encode()
        return [crc32(data[at : at + 4], _CHARACTERS) & _MASK for at in range(max(len(data) - 3, 1))]
    size = 2 if max(framed) >= _UNSPACED else 4
    return [crc32(framed[at : at + size].encode(), _CHARACTERS) & _MASK for at in range(max(len(framed) - size + 1, 1))]


def _shape(lower: str) -> str:
    """``lower`` with its inner letters in order, since readers do without their order."""
    if len(lower) < 4 or not lower.isalpha():
        return lower
    return f"{lower[0]}{''.join(sorted(lower[1:-1]))}{lower[-1]}"
