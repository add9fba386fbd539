"""The second stage's model: a small transformer encoder, which reads the words of a window in their context.

Its files are in ``encoder_model/``: ``encoder.json`` describes it and names the others by their SHA-256,
``encoder.onnx`` is the network and ``tokenizer.json`` its vocabulary. onnxruntime and numpy, which run it, are an
extra; neither they nor the files are touched before the first text is judged. One thread does the work of one text,
the one that asks, and only as many work at once as there are processors.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Semaphore
from typing import Annotated, Any

import msgspec

from shared.errors import ConfigurationError, Fault
from shared.guards.allowance import Allowance
from shared.guards.port import Channel
from shared.guards.wordpiece import WordPiece
from shared.shapes import prepare

FOLDER = Path(__file__).with_name("encoder_model")
DESCRIPTION, NETWORK, TOKENIZER = FILES = ("encoder.json", "encoder.onnx", "tokenizer.json")
PACKAGES = ("numpy", "onnxruntime")
REQUIREMENTS = "functions/guard/second-stage-requirements.txt"

_AGAIN = 8
"""Of a piece of a long text, an eighth is read again with the next one: words are judged in their context."""

_FATAL = 4
"""onnxruntime's severity: what it has to say of a fault is in the exception."""

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Combination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much each stage counts in what both say together."""

    first: float
    second: float
    bias: float


class EncoderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``encoder.json``."""

    sha256: _Digest
    """Of ``encoder.onnx``."""

    tokenizer_sha256: _Digest
    most_tokens: Annotated[int, msgspec.Meta(ge=8, le=512)]
    """That the network reads at once, with those at both ends."""

    user: Combination
    fetched: Combination
    """For documents and tools' results."""


prepare(EncoderFile)


class LogOdds(msgspec.Struct, frozen=True):
    """What the encoder says of a text."""

    user: float
    """If a person wrote it."""

    fetched: float
    """If it is a document or a tool's result."""


class _Loaded(msgspec.Struct, frozen=True):
    described: EncoderFile
    words: WordPiece
    session: Any
    numpy: Any


class Encoder:
    """Judges texts of any length. Safe under threads; holds nothing of a text.

    Args:
        folder: Where its files are.

    Raises:
        ConfigurationError: The packages or the files are not there.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        if missing := [name for name in PACKAGES if find_spec(name) is None]:
            raise _not_usable(f"needs {' and '.join(missing)}: pip install --require-hashes -r {REQUIREMENTS}")
        if absent := [name for name in FILES if not (folder / name).is_file()]:
            raise _not_usable(
                f"needs {' and '.join(absent)} in {folder.name}/, not there: see docs/guards/second_stage.md"
            )
        # From 1.29 on, onnxruntime reports to Microsoft unless this is set before its import. The lock is below that.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        self._folder = folder
        self._loading = Lock()
        self._loaded: _Loaded | None = None
        self._fault: str | None = None
        self._turns = Semaphore(_processors())

    def load(self) -> None:
        """Make it ready, which the first text that is judged would do otherwise: once, however many threads ask.

        Raises:
            ValueError: A file is not the one that ``encoder.json`` names; or it could not be loaded before.
            OSError: A file cannot be read.
        """
        self._ready()

    def log_odds(self, text: str, allowance: Allowance | None = None) -> LogOdds:
        """What it says of ``text``; of one with more tokens than it reads at once, the most it says of any piece.

        Args:
            text: What is judged.
            allowance: The request's time; None: as long as it takes.

        Raises:
            TimeoutError: It was over before all of the text was read.
            ValueError: See ``load``; or the network gave no numbers.
            OSError: See ``load``.
        """
        loaded = self._ready()
        allowance = allowance or Allowance()
        said = []
        for piece in _pieces(loaded.words.tokens(text), loaded.described.most_tokens - 2):
            with allowance.turn(self._turns):
                said.append(_run(loaded, piece))
        return LogOdds(max(each.user for each in said), max(each.fetched for each in said))

    def combined(self, first: float, second: LogOdds, channel: Channel) -> float:
        """The log odds that both stages together give a window of text.

        Args:
            first: The classifier's.
            second: What this one says of it.
            channel: Where the text comes from.

        Raises:
            ValueError: See ``load``.
            OSError: See ``load``.
        """
        described = self._ready().described
        how, own = (described.user, second.user) if channel == "user" else (described.fetched, second.fetched)
        return how.first * first + how.second * own + how.bias

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            with self._loading:
                if self._fault is not None:
                    raise ValueError(self._fault)
                if self._loaded is None:
                    try:
                        self._loaded = _load(self._folder)
                    except Exception as error:  # whatever it was, the next request is not to wait for it again
                        self._fault = f"the second stage's model could not be loaded: {type(error).__name__}"
                        raise
        return self._loaded


@cache
def shipped_encoder() -> Encoder:
    """The one that ships with Wardgate, for all policies of a process.

    Raises:
        ConfigurationError: See ``Encoder``.
    """
    return Encoder()


def _processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _not_usable(why: str) -> ConfigurationError:
    return ConfigurationError([Fault("guards.second_stage.mode", f"{why}; or give 'mode: off'.")])


def _load(folder: Path) -> _Loaded:
    described = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=EncoderFile)
    words = WordPiece(_named(folder / TOKENIZER, described.tokenizer_sha256))
    network = _named(folder / NETWORK, described.sha256)
    onnxruntime = import_module("onnxruntime")
    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return _Loaded(described, words, session, import_module("numpy"))


def _named(path: Path, digest: str) -> bytes:
    """The file's bytes, if they are those that ``encoder.json`` names."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{path.name} is not the file that encoder.json names by its SHA-256")
    return data


def _pieces(tokens: list[int], room: int) -> Iterator[list[int]]:
    """All of ``tokens`` in pieces that fit: each begins within the one before, and the last one is as long as any."""
    last = max(len(tokens) - room, 0)
    for start in (*range(0, last, room - room // _AGAIN), last):
        yield tokens[start : start + room]


def _run(loaded: _Loaded, tokens: list[int]) -> LogOdds:
    numpy = loaded.numpy
    ids = numpy.array([[loaded.words.first, *tokens, loaded.words.last]], dtype=numpy.int64)
    (odds,) = loaded.session.run(["log_odds"], {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})
    user, fetched = odds[0].tolist()
    if not (math.isfinite(user) and math.isfinite(fetched)):  # no comparison with what is no number is ever true
        raise ValueError("the second stage's network gave no numbers")
    return LogOdds(user, fetched)
