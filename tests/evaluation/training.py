"""Fits the classifier's two linear models: logistic regression with L2, by L-BFGS, on windows of text.

The one for users' text learns attacks from all harmless text. The one for fetched text learns them, and what is
planted in documents, from documents, mails and tools' results, and only faintly from users' prompts, which
order the model about as attacks do.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Literal

import msgspec
import numpy
import scipy.optimize
import scipy.sparse
import scipy.special

from shared.guards.classifier import judged, log_odds
from shared.guards.linear import BUCKETS, LinearModel
from shared.text.canonical import canonicalise
from tests.evaluation.data import FOLDS, MISLABELLED, Group, Source
from tests.evaluation.disguises import hidden
from tests.evaluation.grammar import GRAMMAR, KINDS, Grammar
from tests.evaluation.windows import window_buckets

Head = Literal["user", "fetched"]
Floats = numpy.ndarray[tuple[int], numpy.dtype[numpy.float64]]

HEADS: tuple[Head, ...] = ("user", "fetched")

DRAWN = 2500
"""Texts drawn from each of the grammar's four rules."""

MOST_WINDOWS = 12
"""Windows of one reading of a text that are learnt from."""

MOST_ROWS = 2000
"""Texts of one source with one label that are learnt from, chosen by chance where there are more."""

SEED = 1
CALIBRATED = 0.9
"""The score at which ``FALSE_POSITIVES`` of harmless text from sources never seen are suspected."""

SHUFFLED = 0.15
"""The share of all texts that is learnt from a second time, with the inner letters of its words shuffled."""

MOST_JUDGED = 300
"""Harmless texts of one source that the calibration counts, so that no source sets it alone."""

FALSE_POSITIVES: dict[Head, float] = {"user": 0.0085, "fetched": 0.012}
"""What the rules leave of 1 % of users' prompts and 2 % of documents."""

_STRENGTH = 3.0
"""C of the regression: how much it believes the data."""

_BALANCE: dict[Head, float] = {"user": 0.25, "fetched": 0.5}
"""A source of n rows weighs n to the power of this, so that none drowns the others."""

_USERS_IN_FETCHED = 0.1
"""What harmless prompts count among harmless documents."""

_ITERATIONS = 30


class Corpus(msgspec.Struct, frozen=True):
    """Texts to learn from: a row of the matrix for each window."""

    sources: tuple[str, ...]
    groups: tuple[Group, ...]
    labels: numpy.ndarray
    folds: numpy.ndarray
    """One for each text; -1 for what is never left out."""

    matrix: scipy.sparse.csr_matrix
    text_of: numpy.ndarray
    """The text that each window belongs to."""

    def __len__(self) -> int:
        return len(self.sources)


class Fitted(msgspec.Struct, frozen=True):
    """A model before it is made small."""

    weights: Floats
    bias: float


def gather(sources: Sequence[Source], *, seed: int = SEED) -> Corpus:
    """The texts of ``sources``, and those of the grammar."""
    grammar = Grammar(GRAMMAR.read_text(encoding="utf-8"))
    texts: list[tuple[str, Group, int, int, str]] = []
    for source in sources:
        for row in source.sample(MOST_ROWS, seed).rows:
            texts.append((source.name, source.group_of(row), row.label, source.fold, row.text))
    for rule, group, label in KINDS:
        texts += [(f"grammar {rule}", group, label, -1, text) for text in grammar.draw(rule, DRAWN, seed)]
    chance = random.Random(seed)
    shuffled = [text for text in texts if chance.random() < SHUFFLED]
    texts += [(*text[:-1], hidden("typoglycemia", text[-1])) for text in shuffled]
    windows = [
        (index, buckets)
        for index, (*_, text) in enumerate(texts)
        for view in judged(canonicalise(text))
        for buckets in islice(window_buckets(view.text), MOST_WINDOWS)
    ]
    return Corpus(
        tuple(text[0] for text in texts),
        tuple(text[1] for text in texts),
        numpy.array([text[2] for text in texts]),
        numpy.array([text[3] for text in texts]),
        _matrix([buckets for _, buckets in windows]),
        numpy.array([index for index, _ in windows]),
    )


def fit(corpus: Corpus, head: Head, left_out: int | None = None) -> Fitted:
    """The model of one head from all texts but those of one fold."""
    learnt = numpy.array([source not in MISLABELLED for source in corpus.sources])
    if left_out is not None:
        learnt &= corpus.folds != left_out
    windows = numpy.flatnonzero(learnt[corpus.text_of])
    return _fit(corpus, windows, _importance(corpus, head, windows))


def cross_fitted(corpus: Corpus, sources: Sequence[Source], head: Head) -> tuple[list[LinearModel], float]:
    """The models without each fold, and the score above which ``FALSE_POSITIVES`` of the head's harmless texts lie.

    Each text is judged as it is at run time, by the model that saw nothing of its source.
    """
    models = [loaded(*shipped(fit(corpus, head, left_out=fold), log_odds(CALIBRATED))) for fold in range(len(FOLDS))]
    harmless: Group = "user" if head == "user" else "document"
    scores = [
        highest(models[source.fold], row.text)
        for source in sources
        for row in source.sample(MOST_JUDGED, SEED).rows
        if not row.label and source.group_of(row) == harmless
    ]
    return models, threshold(scores, FALSE_POSITIVES[head])


def highest(model: LinearModel, text: str) -> float:
    """The highest score of a window in any reading of ``text`` that is judged."""
    windows = (window.score for view in judged(canonicalise(text)) for window in model.windows(view.text))
    return max(windows, default=-math.inf)


def threshold(scores: Sequence[float], share: float) -> float:
    """The score above which that share of ``scores`` lies, at most."""
    return sorted(scores, reverse=True)[min(int(share * len(scores)), len(scores) - 1)]


def shipped(model: Fitted, at: float) -> tuple[bytes, float, float]:
    """The weights as they are shipped, their scale, and the bias by which what scored ``at`` scores ``CALIBRATED``."""
    weights, scale = _bytes(model)
    return weights.tobytes(), scale, float(model.bias + log_odds(CALIBRATED) - at)


def loaded(weights: bytes, scale: float, bias: float) -> LinearModel:
    """A shipped model, as the guard runs it."""
    return LinearModel(array("b", weights), scale, bias)


def _bytes(model: Fitted) -> tuple[array[int], float]:
    scale = float(numpy.abs(model.weights).max()) / 127
    return array("b", numpy.rint(model.weights / scale).astype(numpy.int8).tobytes()), scale


def _matrix(windows: Sequence[Sequence[int]]) -> scipy.sparse.csr_matrix:
    sizes = numpy.array([len(window) for window in windows])
    buckets = numpy.fromiter((bucket for window in windows for bucket in window), numpy.int32, int(sizes.sum()))
    values = numpy.repeat(1 / numpy.sqrt(sizes), sizes).astype(numpy.float32)
    starts = numpy.concatenate([[0], numpy.cumsum(sizes)])
    matrix = scipy.sparse.csr_matrix((values, buckets, starts), shape=(len(windows), BUCKETS))
    matrix.sum_duplicates()
    return matrix


def _importance(corpus: Corpus, head: Head, windows: numpy.ndarray) -> Floats:
    """What each window counts: a text's share among its windows, a source by its size, both labels alike."""
    texts = corpus.text_of[windows]
    seen = numpy.unique(texts)
    sizes = Counter((corpus.sources[text], corpus.labels[text]) for text in seen)
    of_text = numpy.zeros(len(corpus))
    for text in seen:
        of_text[text] = sizes[corpus.sources[text], corpus.labels[text]] ** (_BALANCE[head] - 1)
        if head == "fetched" and not corpus.labels[text] and corpus.groups[text] != "document":
            of_text[text] *= _USERS_IN_FETCHED
    result = (of_text / numpy.maximum(numpy.bincount(texts, minlength=len(corpus)), 1))[texts]
    for label in (0, 1):
        result[corpus.labels[texts] == label] /= result[corpus.labels[texts] == label].sum()
    return result * len(seen) / 2


def _fit(corpus: Corpus, windows: numpy.ndarray, importance: Floats) -> Fitted:
    matrix = corpus.matrix[windows]
    transposed = matrix.T.tocsr()
    signs = numpy.where(corpus.labels[corpus.text_of[windows]] == 1, 1.0, -1.0)

    def loss(point: Floats) -> tuple[float, Floats]:
        weights, bias = point[:-1], point[-1]
        margins = signs * (matrix @ weights.astype(numpy.float32) + bias)
        slopes = -signs * importance * scipy.special.expit(-margins)
        value = float(importance @ numpy.logaddexp(0, -margins) + weights @ weights / (2 * _STRENGTH))
        gradient = transposed @ slopes.astype(numpy.float32) + weights / _STRENGTH
        return value, numpy.append(gradient, slopes.sum())

    found = scipy.optimize.minimize(
        loss,
        numpy.zeros(BUCKETS + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "ftol": 1e-6},
    )
    return Fitted(found.x[:-1], float(found.x[-1]))
