"""Trains the injection guard's classifier: ``python -m tests.evaluation.train FOLDER``.

The same folder gives the same bytes, with the locked versions of numpy and scipy on one kind of processor.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.guards.classifier import MODEL, Head, ModelFile
from tests.evaluation import training
from tests.evaluation.data import read_sources


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both models, calibrate them on sources they have not seen, and write them."""
    parser = argparse.ArgumentParser(prog="make train", description=__doc__)
    parser.add_argument("folder", type=Path, help="labelled prompts: a JSONL file for each source")
    parser.add_argument("--into", type=Path, default=MODEL, help="where to write; default: the package's own model")
    options = parser.parse_args(arguments)
    try:
        sources = read_sources(options.folder)
    except (OSError, ValueError) as error:
        print(f"make train: {error}", file=sys.stderr)
        return 2
    started = time.monotonic()
    corpus = training.gather(sources)
    print(f"{len(corpus)} texts of {len(sources)} sources and the grammar, {corpus.matrix.shape[0]} windows")
    heads, tables = {}, []
    for head in training.HEADS:
        _, cut = training.cross_fitted(corpus, sources, head)
        table, scale, bias = training.shipped(training.fit(corpus, head), cut)
        heads[head] = Head(scale, bias)
        tables.append(table)
        print(f"{head}: cut at {cut:.3f} log odds, {time.monotonic() - started:.0f} s")
    data = b"".join(tables)
    described = ModelFile(hashlib.sha256(data).hexdigest(), **heads)
    options.into.with_suffix(".bin").write_bytes(data)
    options.into.write_bytes(msgspec.json.format(msgspec.json.encode(described), indent=2) + b"\n")
    print(f"wrote {options.into} and {options.into.with_suffix('.bin').name} ({described.sha256})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
