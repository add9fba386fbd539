"""The features of a text's windows one by one, as training needs them; the guard only ever sums their weights."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from shared.guards.linear import BLOCK, BUCKETS, FIRST_PAIR, FIRST_TRIPLE, WINDOW, WORD, word_features


def window_buckets(text: str) -> Iterator[list[int]]:
    """The buckets of the features of every other window, which hold each word once: what a ``LinearModel`` sums."""
    words = WORD.findall(text)
    read = {word: word_features(word) for word in set(words)}
    pairs: list[int] = []
    triples: list[int] = []
    checksum, pair = FIRST_PAIR, FIRST_TRIPLE
    for word in words:
        triple, pair = crc32(read[word].key, pair), crc32(read[word].key, checksum)
        checksum = read[word].checksum
        pairs.append(pair % BUCKETS)
        triples.append(triple % BUCKETS)
    for first in range(0, len(words), WINDOW):
        features: list[int] = []
        for start in (first, first + BLOCK):
            end = start + BLOCK
            features += [bucket for word in set(words[start:end]) for bucket in read[word].buckets]
            features += [*set(pairs[start:end]), *set(triples[start:end])]
        yield features
