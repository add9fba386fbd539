"""Fine-tunes the second stage's encoder: ``python -m tests.evaluation.train_encoder FOLDER --minilm FOLDER``.

It trains four times: without each of three groups of sources, for the evaluation and for what a score means, and with
all of them, for the encoder that ships. What was trained before is taken as it is, so that a run that was ended goes
on. Takes one or two hours on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from shared.guards.encoder import FOLDER, Combination, EncoderFile
from tests.evaluation import encoder_training, training
from tests.evaluation.data import read_sources
from tests.evaluation.encoder import MOST_TOKENS, export, pretrained
from tests.evaluation.two_stages import Heads, cross_fitted_bias

WITHOUT = "without-{}.onnx"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, export, calibrate, and write."""
    parser = argparse.ArgumentParser(prog="make train-encoder", description=__doc__)
    parser.add_argument("folder", type=Path, help="labelled prompts: a JSONL file for each source")
    parser.add_argument("--minilm", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--work", type=Path, default=Path("build/encoders"), help="for what is trained [%(default)s]")
    parser.add_argument("--into", type=Path, default=FOLDER, help="where to write; default: the package's own encoder")
    options = parser.parse_args(arguments)
    try:
        sources = read_sources(options.folder)
        tokenizer = encoder_training.reader(options.minilm)
        started = time.monotonic()
    except (OSError, ValueError) as error:
        print(f"make train-encoder: {error}", file=sys.stderr)
        return 2

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", file=sys.stderr, flush=True)

    options.work.mkdir(parents=True, exist_ok=True)
    targets = {group: options.work / WITHOUT.format(group) for group in range(len(encoder_training.GROUPS))}
    targets[-1] = options.work / "all.onnx"
    if not all(target.exists() for target in targets.values()):
        torch.use_deterministic_algorithms(True)
        examples = encoder_training.gather(sources, tokenizer)
        say(f"{len(examples)} windows")
        below = encoder_training.states_below(pretrained(options.minilm), examples, say)
        for group, target in targets.items():
            if not target.exists():
                kept = [i for i, each in enumerate(examples) if encoder_training.left_out_in(each.source) != group]
                if group < 0:
                    kept = list(range(len(examples)))
                say(f"{target.name}: {len(kept)} windows")
                encoder = encoder_training.fit(
                    options.minilm, [examples[i] for i in kept], [below[i] for i in kept], say
                )
                export(encoder, target)
    return 0
