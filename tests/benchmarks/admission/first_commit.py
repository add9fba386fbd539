"""From the start of a process to its first commit: Wardgate's adapter and the official client, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]

_OURS = """
import sys
from shared.stores.connect import connect_documents
from shared.stores.documents import Write
documents = connect_documents(f"firestore://{sys.argv[1]}", timeout_seconds=30.0)
documents.commit([Write("bench/start", increments={"n": 1})])
"""
_OFFICIAL = """
import sys
from google.cloud import firestore
firestore.Client(project=sys.argv[1]).document("bench/start").set({"n": firestore.Increment(1)}, merge=True)
"""


def first_commits(project: str, rounds: int) -> tuple[float, float]:
    """Milliseconds of ours and of the official client: the medians of so many starts each."""
    taken: dict[str, list[float]] = {_OURS: [], _OFFICIAL: []}
    for _ in range(rounds):
        for program, milliseconds in taken.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program, project], cwd=_ROOT, check=True)
            milliseconds.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[_OURS]), statistics.median(taken[_OFFICIAL])
