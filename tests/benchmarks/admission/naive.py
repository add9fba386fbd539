"""What is usually done on Firestore: a list of times, read, looked at and written back with the official client."""

from __future__ import annotations

import time
from typing import Any

from google.cloud import firestore

_KEPT = 50
_AMOUNT = 1_000_000_000
_WINDOW_SECONDS = 60


class Naive:
    """A sliding log in one document. Admits too many where two requests read before either has written."""

    def __init__(self, client: firestore.Client, name: str) -> None:
        self._client = client
        self._plain = client.document(f"bench/naive-{name}")
        self._careful = client.document(f"bench/careful-{name}")

    def read_then_write(self) -> bool:
        """Two calls that know nothing of each other."""
        times, admitted = _judge(self._plain.get())
        self._plain.set({"times": times})
        return admitted

    def transaction(self) -> bool:
        """The same as a transaction."""
        return bool(_in_transaction(self._client.transaction(), self._careful))


@firestore.transactional
def _in_transaction(transaction: firestore.Transaction, document: Any) -> bool:
    times, admitted = _judge(document.get(transaction=transaction))
    transaction.set(document, {"times": times})
    return admitted


def _judge(snapshot: Any) -> tuple[list[float], bool]:
    now = time.time()
    known = snapshot.to_dict() or {"times": []}
    times = [at for at in known["times"] if at > now - _WINDOW_SECONDS]
    return [*times[-_KEPT:], now], len(times) < _AMOUNT
