"""Fine-tunes the second stage's encoder: ``python -m tests.evaluation.train_encoder FOLDER --minilm FOLDER``.

It trains once without each of three groups of sources, for the evaluation and for what a score means, and once with
all of them, for the encoder that ships. An encoder that an earlier run has trained is taken as it is, so that a run
that was ended goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from shared.guards.classifier import log_odds
from shared.guards.encoder import FOLDER, Combination, EncoderFile
from tests.evaluation import encoder_training, training
from tests.evaluation.data import Source, read_sources
from tests.evaluation.encoder import MOST_TOKENS, export, pretrained
from tests.evaluation.two_stages import SecondOpinions, both_stages, trained_without

FALSE_POSITIVES: dict[training.Head, float] = {"user": 0.0075, "fetched": 0.012}
"""The share of harmless text, from sources never seen, that both stages suspect where the first is unsure."""

_SECOND = 2.0
"""What the encoder's log odds count beside the first stage's."""

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, export, calibrate, and write."""
    parser = argparse.ArgumentParser(prog="make train-encoder", description=__doc__)
    parser.add_argument("folder", type=Path, help="labelled prompts: a JSONL file for each source")
    parser.add_argument("--minilm", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--work", type=Path, default=Path("build/encoders"), help="for what is trained [%(default)s]")
    parser.add_argument("--into", type=Path, default=FOLDER, help="where to write; default: the package's own encoder")
    options = parser.parse_args(arguments)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", file=sys.stderr, flush=True)

    try:
        sources = read_sources(options.folder)
        tokenizer = (options.minilm / "tokenizer.json").read_bytes()
        trained = (*trained_without(options.work), options.work / "all")
        _train(sources, options.minilm, trained, say)
    except (OSError, ValueError) as error:
        print(f"make train-encoder: {error}", file=sys.stderr)
        return 2
    plain = Combination(1.0, _SECOND, 0.0)
    for folder in trained:
        _describe(folder, tokenizer, plain, plain)
    user, fetched = _calibrated(sources, trained_without(options.work), say)
    for folder in trained:
        _describe(folder, tokenizer, user, fetched)
    shutil.copytree(options.work / "all", options.into, dirs_exist_ok=True)
    print(f"wrote {options.into} ({_digest((options.into / 'encoder.onnx').read_bytes())})")
    return 0


def _train(sources: Sequence[Source], minilm: Path, into: Sequence[Path], say: Say) -> None:
    """Train what is not there yet: without each third of the sources, and then without none."""
    missing = {third: folder for third, folder in enumerate(into) if not (folder / "encoder.onnx").exists()}
    if not missing:
        return
    examples = encoder_training.gather(sources, minilm)
    say(f"{len(examples)} windows")
    below = encoder_training.states_below(pretrained(minilm), examples, say)
    for third, folder in missing.items():
        kept = [index for index, example in enumerate(examples) if example.third != third]
        say(f"{folder.name}: {len(kept)} windows")
        encoder = encoder_training.fit(minilm, [examples[i] for i in kept], [below[i] for i in kept], say)
        folder.mkdir(parents=True, exist_ok=True)
        export(encoder, folder / "encoder.onnx")


def _calibrated(sources: Sequence[Source], encoders: Sequence[Path], say: Say) -> tuple[Combination, Combination]:
    """How the two stages combine, so that a score of ``training.CALIBRATED`` means ``FALSE_POSITIVES``.

    Each harmless text is judged by models of both stages that saw nothing of its source.
    """
    opinions = SecondOpinions(encoders, both_stages())
    corpus = training.gather(sources)
    result = []
    for head in training.HEADS:
        models, cut = training.cross_fitted(corpus, sources, head)
        firsts = [model.moved(log_odds(training.CALIBRATED) - cut) for model in models]
        channel, group = ("user", "user") if head == "user" else ("document", "document")
        scores = [
            opinions.both(source.third, row.text, channel, firsts[source.fold])
            for source in sources
            for row in source.sample(training.MOST_JUDGED, training.SEED).rows
            if not row.label and source.group_of(row) == group
        ]
        at = training.threshold(scores, FALSE_POSITIVES[head])
        say(f"{head}: {len(scores)} harmless texts, cut at {at:.3f} log odds")
        result.append(Combination(1.0, _SECOND, log_odds(training.CALIBRATED) - at))
    return result[0], result[1]


def _describe(folder: Path, tokenizer: bytes, user: Combination, fetched: Combination) -> None:
    """Write what the network is and how it is used beside it."""
    (folder / "tokenizer.json").write_bytes(tokenizer)
    network = (folder / "encoder.onnx").read_bytes()
    described = EncoderFile(_digest(network), _digest(tokenizer), MOST_TOKENS, user, fetched)
    (folder / "encoder.json").write_bytes(msgspec.json.format(msgspec.json.encode(described), indent=2) + b"\n")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
