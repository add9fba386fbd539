"""Fits the second stage: fine-tunes the encoder on windows of text, those that the first stage judges too.

One output learns users' text, the other documents and tools' results; what each text counts for either is as in
``training``. Three groups of sources are left out in turn, each with those that share an origin or a kind of text.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor
from torch.nn import functional

from shared.guards.classifier import judged
from shared.guards.linear import WINDOW, WORD, starts
from shared.guards.second_stage import shown
from shared.guards.wordpiece import WordPiece
from shared.text.canonical import canonicalise
from tests.evaluation.data import MISLABELLED, Group, Source
from tests.evaluation.encoder import MOST_TOKENS, Encoder, padded, pretrained
from tests.evaluation.grammar import GRAMMAR, KINDS, Grammar

MOST_ROWS = 400
"""Texts of one source with one label that are learnt from, chosen by chance where there are more."""

DRAWN = 400
"""Texts drawn from each of the grammar's four rules."""

MOST_WINDOWS: dict[Group, int] = {"attack": 2, "planted": 2, "document": 2, "hard": 1, "user": 1}
"""Windows of one text that are learnt from, chosen by chance where it has more."""

EPOCHS = 2
BATCH = 32
RATE = 1e-4
WARM = 0.1
"""The share of all steps in which the rate rises."""

SEED = 1
_BALANCE = (0.5, 0.5)
"""For each output: a source of n rows weighs n to the power of this."""

_USERS_IN_FETCHED = 0.1
_HEADS = 2
Say = Callable[[str], None]


class Example(msgspec.Struct, frozen=True):
    """One window of a text."""

    source: str
    third: int
    group: Group
    label: int
    tokens: tuple[int, ...]


def excerpts(text: str) -> Iterator[str]:
    """The windows of a reading, as the first stage cuts it, as the second is shown them."""
    words = [match.span() for match in WORD.finditer(text)]
    for first in starts(len(words)) if words else ():
        yield shown(text[words[first][0] : words[min(first + WINDOW, len(words)) - 1][1]])


def gather(sources: Sequence[Source], minilm: Path, *, seed: int = SEED) -> list[Example]:
    """Windows of the texts of ``sources``, and of those of the grammar, in the pretrained model's tokens."""
    vocabulary = WordPiece((minilm / "tokenizer.json").read_bytes())
    texts: list[tuple[str, int, Group, int, str]] = [
        (source.name, source.third, source.group_of(row), row.label, row.text)
        for source in sources
        if source.name not in MISLABELLED
        for row in source.sample(MOST_ROWS, seed).rows
    ]
    grammar = Grammar(GRAMMAR.read_text(encoding="utf-8"))
    for rule, group, label in KINDS:
        texts += [(f"grammar {rule}", -1, group, label, text) for text in grammar.draw(rule, DRAWN, seed)]
    chance = random.Random(seed)
    examples = []
    for source, third, group, label, text in texts:
        windows = [excerpt for view in judged(canonicalise(text)) for excerpt in excerpts(view.text)]
        for window in chance.sample(windows, min(len(windows), MOST_WINDOWS[group])):
            tokens = vocabulary.tokens(window)[: MOST_TOKENS - 2]
            examples.append(Example(source, third, group, label, (vocabulary.first, *tokens, vocabulary.last)))
    return examples


def importance(examples: Sequence[Example]) -> Tensor:
    """What each example counts for each output: a source by its size, both labels alike; 1 on average."""
    sizes = Counter((example.source, example.label) for example in examples)
    result = torch.zeros(len(examples), _HEADS, dtype=torch.float64)
    for index, example in enumerate(examples):
        for head in range(_HEADS):
            weight = sizes[example.source, example.label] ** (_BALANCE[head] - 1)
            if head == 1 and not example.label and example.group != "document":
                weight *= _USERS_IN_FETCHED
            result[index, head] = weight
    labels = torch.tensor([example.label for example in examples])
    for label in (0, 1):
        result[labels == label] /= result[labels == label].sum(0)
    return (result * len(examples) / 2).to(torch.float32)


def states_below(encoder: Encoder, examples: Sequence[Example], say: Say) -> list[Tensor]:
    """What the layers that do not learn say of each example, in half precision."""
    encoder.eval()
    result: list[Tensor] = [torch.empty(0)] * len(examples)
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].tokens))
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            ids, mask = padded([examples[index].tokens for index in batch])
            for index, states in zip(batch, encoder.below(ids, mask), strict=True):
                result[index] = states[: len(examples[index].tokens)].to(torch.float16)
            if start % 3200 == 0:
                say(f"{start} of {len(order)} windows read by the lower layers")
    return result


def fit(folder: Path, examples: Sequence[Example], below: Sequence[Tensor], say: Say, *, seed: int = SEED) -> Encoder:
    """The encoder, its upper layers fine-tuned on ``examples``."""
    torch.manual_seed(seed)
    encoder = pretrained(folder)
    encoder.train()
    weights = importance(examples)
    labels = torch.tensor([float(example.label) for example in examples])
    chance = random.Random(seed)
    batches = [batch for _ in range(EPOCHS) for batch in _batches(examples, chance)]
    optimiser = torch.optim.AdamW(encoder.learning(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step / len(batches)))
    loss_so_far = 0.0
    for step, batch in enumerate(batches):
        states = torch.nn.utils.rnn.pad_sequence([below[index] for index in batch], batch_first=True).to(torch.float32)
        lengths = torch.tensor([len(below[index]) for index in batch])
        mask = (torch.arange(states.shape[1])[None, :] < lengths[:, None]).to(torch.int64)
        odds = encoder.above(states, mask)
        truth = labels[batch][:, None].expand(-1, _HEADS)
        each = functional.binary_cross_entropy_with_logits(odds, truth, reduction="none")
        loss = (each * weights[batch]).sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.learning(), 1.0)
        optimiser.step()
        schedule.step()
        loss_so_far = 0.98 * loss_so_far + 0.02 * loss.item() if step else loss.item()
        if step % 50 == 0:
            say(f"step {step} of {len(batches)}, loss {loss_so_far:.3f}")
    return encoder


def _rate(done: float) -> float:
    return done / WARM if done < WARM else (1 - done) / (1 - WARM)


def _batches(examples: Sequence[Example], chance: random.Random) -> list[list[int]]:
    """All examples by chance, those of a like length together, so that little is padded."""
    order = list(range(len(examples)))
    chance.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), BATCH * 20):
        some = sorted(order[start : start + BATCH * 20], key=lambda index: len(examples[index].tokens))
        batches += [some[at : at + BATCH] for at in range(0, len(some), BATCH)]
    chance.shuffle(batches)
    return batches
