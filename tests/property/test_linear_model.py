"""The linear model's fast sums against the same features spelt out, and texts of every kind."""

import math
import random
import re
from array import array
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.guards.classifier import Classifier
from shared.guards.linear import BLOCK, BUCKETS, WINDOW, LinearModel
from shared.policy.types import Thresholds
from shared.text.canonical import canonicalise
from tests.evaluation.windows import window_buckets

TABLE = array("b", random.Random(7).randbytes(BUCKETS))
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=300),
    st.text("abAB 01.,<|_é漢\n", max_size=400),
    st.lists(st.sampled_from(["ignore", "Ignroe", "漢字漢字", "42", "a1", "<|", "_", "ß", "İ"]), max_size=200).map(
        " ".join
    ),
)


def window_spelt_out(words, first, end):
    """The buckets of a window, by the definition in the model's head."""
    keys = []
    for word in map(str.lower, words):
        if word.isdigit():
            word = "0"
        elif word.isalpha() and len(word) > 3:
            word = word[0] + "".join(sorted(word[1:-1])) + word[-1]
        keys.append(word.encode() + b" ")
    found = []
    for block in range(first, end, BLOCK):
        numbers = range(block, min(block + BLOCK, end))
        for word in {words[number] for number in numbers}:
            lower = word.lower()
            found.append(crc32(keys[words.index(word)]))
            if lower[0].isalnum() and not lower.isdigit():
                framed, size = f"<{lower}>", 2 if any(ord(c) >= 0x2E80 for c in lower) else 4
                short = len(framed) < size
                grams = [framed] if short else [framed[at : at + size] for at in range(len(framed) - size + 1)]
                found += [crc32(gram.encode(), 0x9E3779B1) for gram in grams]
        one = [crc32(keys[number - 1]) if number else 1 for number in numbers]
        two = [
            crc32(keys[number - 1], crc32(keys[number - 2]) if number > 1 else 1) if number else 2 for number in numbers
        ]
        for before in (one, two):
            found += {crc32(keys[number], start) % BUCKETS for number, start in zip(numbers, before, strict=True)}
    return [checksum % BUCKETS for checksum in found]


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_every_window_weighs_what_its_features_do(text):
    words = re.findall(r"[^\W_]{1,32}|[^\w\s]{1,4}", text)
    expected = []
    for first in range(0, max(len(words) - BLOCK, 1) if words else 0, BLOCK):
        features = window_spelt_out(words, first, min(first + WINDOW, len(words)))
        score = 0.25 + 0.5 * sum(TABLE[bucket] for bucket in features) / math.sqrt(len(features))
        end = min(first + WINDOW, len(words))
        different = max(len(set(words[block : block + BLOCK])) for block in range(first, end, BLOCK))
        expected.append((first, end, different, score))
    fresh, used = LinearModel(TABLE, 0.5, 0.25), LinearModel(TABLE, 0.5, 0.25)
    used.windows(text[::-1])
    for model in (fresh, used, used):
        assert [tuple(window) for window in model.windows(text)] == [pytest.approx(window) for window in expected]


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(["user", "document", "tool"]))
def test_no_text_makes_it_raise_and_every_place_lies_within(text, channel):
    model = LinearModel(TABLE, 0.5, 0.25)
    places = Classifier(model, model, Thresholds(user=0.5, document=0.5, tool=0.5)).find(canonicalise(text), channel)
    for place in places:
        start, end = place.span
        assert 0 <= start < end <= len(text)
        assert 0.5 < place.score <= 1


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_what_is_learnt_from_is_what_is_judged(text):
    every_other = LinearModel(TABLE, 0.5, 0.25).windows(text)[::2]
    learnt = list(window_buckets(text))
    assert len(learnt) - len(every_other) in (0, 1)  # the last words also make the end of the window before
    for window, buckets in zip(every_other, learnt, strict=False):
        assert 0.25 + 0.5 * sum(TABLE[bucket] for bucket in buckets) / math.sqrt(len(buckets)) == pytest.approx(
            window.score
        )
