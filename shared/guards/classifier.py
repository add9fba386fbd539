"""The injection guard's classifier: two linear models, one for what people write and one for what is fetched.

An order to a model is what a user's prompt is made of, and a sign of attack in a document or a tool's result;
so each has weights of its own. They are package data, ``injection_model.json`` and ``.bin``, written by
``make train`` and described in docs/guards/injection-model.md; the first holds the SHA-256 of the second.
"""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec.structs import replace

from shared.guards.linear import BUCKETS, WORD, LinearModel, Window
from shared.guards.port import Channel
from shared.policy.types import Thresholds
from shared.shapes import prepare
from shared.text.canonical import Text
from shared.text.views import View

KIND = "classifier"
MODEL = Path(__file__).with_name("injection_model.json")
FEWEST = 4
"""Different words of a window that can be suspected: fewer say too little."""

_CLEARER = frozenset({"folded", "decoded", "reshaped"})
"""Readings that hold all of the one before them."""

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What turns one table of weights into log odds."""

    scale: float
    bias: float


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``injection_model.json``."""

    sha256: _Digest
    """Of the weights: two tables of signed bytes, first the one for users' text."""

    user: Head
    fetched: Head
    """For documents and tools' results."""


prepare(ModelFile)


Span = tuple[int, int]


class Suspicion(msgspec.Struct, frozen=True):
    """A place that reads like an attack."""

    span: Span
    """In the original text."""

    score: float
    """From 0 to 1."""


class Classifier:
    """Judges text by windows, in what it says behind its disguises."""

    def __init__(self, user: LinearModel, fetched: LinearModel, thresholds: Thresholds) -> None:
        self._models: dict[Channel, LinearModel] = {"user": user, "document": fetched, "tool": fetched}
        self._least: dict[Channel, float] = {
            "user": log_odds(thresholds.user),
            "document": log_odds(thresholds.document),
            "tool": log_odds(thresholds.tool),
        }

    def find(self, text: Text, channel: Channel, known: Collection[Span] = ()) -> list[Suspicion]:
        """The places whose score is above the channel's threshold, by their start.

        Args:
            text: What is judged.
            channel: Where it comes from.
            known: Places of which enough is known. What remains without them is judged as if they were not there,
                since it may go on alone: where they are cut out, or allowed.
        """
        model, least = self._models[channel], self._least[channel]
        found: dict[Span, float] = {}
        for view, every in scored(text, model) if not known else _remaining(text, model, known):
            windows = [window for window in every if window.score > least and window.different >= FEWEST]
            for span, score in places(view, windows) if windows else ():
                found[span] = max(score, found.get(span, 0.0))
        return [Suspicion(span, found[span]) for span in sorted(found)]


def judged(text: Text) -> Iterator[View]:
    """The readings of ``text`` that are judged: not those that the next one says in clear, as code is no language."""
    for view, after in zip_longest(text.readings, text.readings[1:]):
        if after is None or after.name not in _CLEARER:
            yield view


def scored(text: Text, model: LinearModel) -> Sequence[tuple[View, Sequence[Window]]]:
    """The readings of ``text`` that are judged, each with its windows; reckoned once, since two guards ask."""
    return text.once(model, lambda: [(view, model.windows(view.text)) for view in judged(text)])


def load_classifier(thresholds: Thresholds, path: Path = MODEL) -> Classifier:
    """The classifier with the weights beside ``path``.

    Raises:
        ValueError: See ``load_models``.
        OSError: See ``load_models``.
    """
    models = load_models(path)
    return Classifier(models["user"], models["document"], thresholds)


def load_models(path: Path = MODEL) -> Mapping[Channel, LinearModel]:
    """The models with the weights beside ``path``, by the channel that they judge; loaded once in a process.

    Raises:
        ValueError: The weights are not those that the file names.
        OSError: They cannot be read.
    """
    return _loaded(path)


@cache
def _loaded(path: Path) -> Mapping[Channel, LinearModel]:
    try:
        described = msgspec.json.decode(path.read_bytes(), type=ModelFile)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path.name} does not describe a model: {error}") from error
    data = path.with_suffix(".bin").read_bytes()
    if hashlib.sha256(data).hexdigest() != described.sha256:
        raise ValueError(f"{path.with_suffix('.bin').name} is not the file that {path.name} names by its SHA-256")
    user = LinearModel(array("b", data[:BUCKETS]), described.user.scale, described.user.bias)
    fetched = LinearModel(array("b", data[BUCKETS:]), described.fetched.scale, described.fetched.bias)
    return {"user": user, "document": fetched, "tool": fetched}


def log_odds(probability: float) -> float:
    """The score of a model at which :func:`probability` is this."""
    if probability <= 0:
        return -math.inf
    return math.inf if probability >= 1 else math.log(probability / (1 - probability))


def probability(score: float) -> float:
    """Log odds as a number from 0 to 1."""
    return 1 / (1 + math.exp(-max(min(score, 500.0), -500.0)))


def places(view: View, windows: Sequence[Window]) -> Iterator[tuple[Span, float]]:
    """The windows in characters of the original, those that follow each other as one, with their probability.

    Args:
        view: The reading that they are of.
        windows: In their order.
    """
    words = [word.span() for word in WORD.finditer(view.text)]
    runs: list[tuple[int, int, float]] = []
    for window in windows:
        first, last = words[window.first][0], words[window.end - 1][1]
        if runs and first < runs[-1][1]:
            runs[-1] = (runs[-1][0], last, max(runs[-1][2], window.score))
        else:
            runs.append((first, last, window.score))
    for first, last, score in runs:
        yield view.span(first, last), probability(score)


def _remaining(text: Text, model: LinearModel, known: Collection[Span]) -> Iterator[tuple[View, Sequence[Window]]]:
    """As ``scored``, of what remains without ``known``."""
    apart = _apart(known)
    for view in judged(text):
        remaining = _without(view, apart)
        yield replace(view, text=remaining), model.windows(remaining)


def _without(view: View, spans: Sequence[Span]) -> str:
    """The reading's text, with blanks for those characters of words that were read from ``spans``.

    Args:
        view: The reading.
        spans: In the original text, in order and apart.
    """

    def touched(start: int, end: int) -> bool:
        first, last = view.span(start, end)
        before = bisect_left(spans, last, key=lambda span: span[0])
        return before > 0 and spans[before - 1][1] > first

    def rest(word: re.Match[str]) -> str:
        if not touched(*word.span()):
            return word[0]
        return "".join(" " if touched(at, at + 1) else view.text[at] for at in range(*word.span()))

    return WORD.sub(rest, view.text)


def _apart(spans: Collection[Span]) -> list[Span]:
    """The spans in order, those that touch as one."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result
