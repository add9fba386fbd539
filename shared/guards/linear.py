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
from collections.abc import Mapping
from itertools import accumulate, islice, repeat
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


_Weighed = tuple[bytes, int, int, int]
"""A word's key, the key's checksum, the sum of its own weights and their number: a tuple, since a long text of words
that were never met makes thousands of them."""


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
        key_of, checksum_of, weight_of, features_of = self._weighed(set(words))
        keys = list(map(key_of.__getitem__, words))
        pairs = list(map(crc32, keys, [FIRST_PAIR, *map(checksum_of.__getitem__, words)]))
        triples = map(crc32, keys, [FIRST_TRIPLE, *pairs])
        pair_buckets, triple_buckets = [pair & _MASK for pair in pairs], [triple & _MASK for triple in triples]
        bucket_weight = self._weights.__getitem__
        weights: list[int] = []
        counts: list[int] = []
        different: list[int] = []
        for start in range(0, len(words), BLOCK):
            end = start + BLOCK
            own = set(words[start:end])
            joined = [*set(pair_buckets[start:end]), *set(triple_buckets[start:end])]
            weights.append(sum(map(weight_of.__getitem__, own)) + sum(map(bucket_weight, joined)))
            counts.append(sum(map(features_of.__getitem__, own)) + len(joined))
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

    def _weighed(self, words: set[str]) -> tuple[dict[str, bytes], dict[str, int], dict[str, int], dict[str, int]]:
        """For each of the words its key, the key's checksum, the sum of its own weights and their number."""
        known = self._known
        weighed = {word: met for word in words if (met := known.get(word)) is not None}
        if len(weighed) < len(words):
            weighed |= self._weigh([word for word in words if word not in weighed])
        keys, checksums, weights, features = zip(*weighed.values(), strict=True)
        return (
            dict(zip(weighed, keys, strict=True)),
            dict(zip(weighed, checksums, strict=True)),
            dict(zip(weighed, weights, strict=True)),
            dict(zip(weighed, features, strict=True)),
        )

    def _weigh(self, words: list[str]) -> dict[str, _Weighed]:
        """Words that were not met before, all at once: most of what a word costs is the way to it."""
        grams: list[bytes] = []
        read: list[tuple[str, bytes, int]] = []
        for word in words:
            lower = word.lower()
            grams += _characters(lower)
            read.append((word, _key(lower), len(grams)))
        bucket_weight = self._weights.__getitem__
        buckets = [checksum & _MASK for checksum in map(crc32, grams, repeat(_CHARACTERS))]
        sums = list(accumulate(map(bucket_weight, buckets), initial=0))
        weighed: dict[str, _Weighed] = {}
        first = 0
        for word, key, end in read:
            checksum = crc32(key)
            weight = bucket_weight(checksum & _MASK) + sums[end] - sums[first]
            weighed[word] = (key, checksum, weight, 1 + end - first)
            first = end
        self._remember(weighed)
        return weighed

    def _remember(self, weighed: Mapping[str, _Weighed]) -> None:
        """Only letters and few of them, or signs, are remembered: no key or token outlives its request."""
        kept = {
            word: each
            for word, each in weighed.items()
            if len(word) <= _LONGEST_KNOWN and (word.isalpha() or not word[0].isalnum())
        }
        if len(self._known) + len(kept) > _MOST_KNOWN:
            self._known = dict(islice(kept.items(), _MOST_KNOWN))  # another thread may still read the one before
        else:
            self._known.update(kept)


def starts(words: int) -> range:
    """Where the windows over so many words begin; together they hold every word, and most words are in two."""
    return range(0, max(words - BLOCK, 1), BLOCK)


def word_features(word: str) -> WordFeatures:
    """The features that a word brings wherever it stands."""
    lower = word.lower()
    key = _key(lower)
    checksum = crc32(key)
    buckets = (checksum, *map(crc32, _characters(lower), repeat(_CHARACTERS)))
    return WordFeatures(key, checksum, tuple([bucket & _MASK for bucket in buckets]))


def _key(lower: str) -> bytes:
    """What stands for a word in lower case: its inner letters in order, since readers do without their order."""
    if len(lower) > 3 and lower.isalpha():
        return f"{lower[0]}{''.join(sorted(lower[1:-1]))}{lower[-1]} ".encode()
    return b"0 " if lower.isdigit() else f"{lower} ".encode()


def _characters(lower: str) -> list[bytes]:
    """The n-grams of a word's characters; none of a number's, or of signs."""
    if lower.isdigit() or not lower[0].isalnum():
        return []
    framed = f"<{lower}>"
    if framed.isascii():  # a byte each: cut after encoding, which halves the time
        data = framed.encode()
        return [data[at : at + 4] for at in range(max(len(data) - 3, 1))]
    size = 2 if max(framed) >= _UNSPACED else 4
    return [framed[at : at + size].encode() for at in range(max(len(framed) - size + 1, 1))]
