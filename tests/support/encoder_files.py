"""A small encoder in the form of the real one, made by hand: what a text says is the sum of its words' weights.

ONNX files are protocol buffers; the few messages that this graph needs are written field by field, so that no test
needs the package ``onnx``.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

FLOAT, INT64 = 1, 7
MOST_TOKENS = 16
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
COMBINATION = {"first": 1.0, "second": 1.0, "bias": 0.0}


def write_encoder(
    folder: Path,
    weights: Mapping[str, tuple[float, float]],
    *,
    user: Mapping[str, float] = COMBINATION,
    fetched: Mapping[str, float] = COMBINATION,
) -> Path:
    """Write the three files into ``folder``: words with what they say in users' text and in fetched text."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [*SPECIAL, *weights]
    tokenizer = json.dumps(
        {
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: number for number, word in enumerate(vocabulary)},
            },
        }
    ).encode()
    network = _model([weights.get(word, (0.0, 0.0)) for word in vocabulary])
    (folder / "tokenizer.json").write_bytes(tokenizer)
    (folder / "encoder.onnx").write_bytes(network)
    described = {
        "sha256": hashlib.sha256(network).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        "most_tokens": MOST_TOKENS,
        "user": dict(user),
        "fetched": dict(fetched),
    }
    (folder / "encoder.json").write_text(json.dumps(described))
    return folder


def _model(rows: Sequence[tuple[float, float]]) -> bytes:
    """The sum, over the tokens that the mask leaves, of their rows of a table."""
    table = _tensor(
        "table", (len(rows), 2), FLOAT, struct.pack(f"<{2 * len(rows)}f", *(x for row in rows for x in row))
    )
    words, last = (_tensor(name, (1,), INT64, struct.pack("<q", axis)) for name, axis in (("words", 1), ("last", 2)))
    nodes = (
        _node("Gather", ("table", "input_ids"), "rows"),
        _node("Cast", ("attention_mask",), "mask", _text(1, "to") + _number(3, FLOAT) + _number(20, 2)),
        _node("Unsqueeze", ("mask", "last"), "column"),
        _node("Mul", ("rows", "column"), "masked"),
        _node("ReduceSum", ("masked", "words"), "log_odds", _text(1, "keepdims") + _number(3, 0) + _number(20, 2)),
    )
    graph = (
        b"".join(_field(1, node) for node in nodes)
        + _text(2, "stand-in")
        + b"".join(_field(5, tensor) for tensor in (table, words, last))
        + _field(11, _value("input_ids", INT64, ("batch", "n")))
        + _field(11, _value("attention_mask", INT64, ("batch", "n")))
        + _field(12, _value("log_odds", FLOAT, ("batch", 2)))
    )
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 13))


def _node(operation: str, inputs: Sequence[str], output: str, attribute: bytes = b"") -> bytes:
    named = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, operation)
    return named + (_field(5, attribute) if attribute else b"")


def _tensor(name: str, shape: Sequence[int], kind: int, data: bytes) -> bytes:
    return b"".join(_number(1, size) for size in shape) + _number(2, kind) + _text(8, name) + _field(9, data)


def _value(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    sizes = (_text(2, size) if isinstance(size, str) else _number(1, size) for size in shape)
    dimensions = b"".join(_field(1, size) for size in sizes)
    return _text(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, dimensions)))


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
