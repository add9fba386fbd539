"""The admission numbers of epochs that are not over: what each seal records of them.

Every reserve of a limit gives the caller's key the next number of an epoch, in the key's own document.
The seal reads that document when an event of the key is sealed, and once more when the epoch is over, and
records the last number: each number up to it must have an event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from shared.admission.numbering import epoch_times, last_number
from shared.audit.checkpoints import MAX_HEADS, AdmissionHead
from shared.audit.event import KEY_ID
from shared.audit.record import GENESIS, Record
from shared.errors import StoreUnavailable
from shared.stores.documents import DocumentStore
from shared.stores.objects import ObjectStore
from shared.web.log import log

ADMISSION_SEQ = "wardgate.admission.seq"
ADMISSION_EPOCH = "wardgate.admission.epoch"

_PREFIX = "epochs/"
_GRACE = 60 * 1_000_000_000
"""After the end of an epoch, until no commit of it can be under way."""

Numbers = dict[str, dict[str, int]]
"""The last number that is known, by epoch and key."""

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Numbers).decode


class Epochs:
    """Epochs of keys that may still grow."""

    def __init__(self, numbers: Numbers | None = None) -> None:
        self._numbers = numbers or {}

    def advance(self, records: Iterable[Record], documents: DocumentStore, now: int) -> list[AdmissionHead]:
        """What to record with these events: the numbers of their keys, and those of epochs that are over.

        While the document store does not answer nothing is recorded, and everything stays open.

        Args:
            records: Those that are being sealed.
            documents: Holds the numbers.
            now: Nanoseconds since the Unix epoch.
        """
        touched = self._note(records)
        heads: list[AdmissionHead] = []
        try:
            for epoch, key, ended in islice(self._due(touched, now), MAX_HEADS):
                last = max(self._numbers[epoch][key], last_number(documents, key, epoch) or 0)
                heads.append(AdmissionHead(key, epoch, last, ended))
        except StoreUnavailable:
            log("WARNING", "audit.numbers_unread", epochs=len(self._numbers))
            return []
        for head in heads:
            keys = self._numbers[head.epoch]
            keys[head.key_id] = head.last
            if head.final:
                del keys[head.key_id]
                if not keys:
                    del self._numbers[head.epoch]
        return heads

    def store(self, objects: ObjectStore) -> str:
        """Keep the table under its hash, and tell the hash."""
        if not self._numbers:
            return GENESIS
        data = _encode(self._numbers)
        digest = hashlib.sha256(data).hexdigest()
        objects.create(f"{_PREFIX}{digest}.json", data)
        return digest

    def _note(self, records: Iterable[Record]) -> set[tuple[str, str]]:
        touched = set()
        for record in records:
            key, epoch, seq = map(record.attributes.get, (KEY_ID, ADMISSION_EPOCH, ADMISSION_SEQ))
            if isinstance(key, str) and isinstance(epoch, str) and isinstance(seq, int) and epoch and seq:
                keys = self._numbers.setdefault(epoch, {})
                keys[key] = max(keys.get(key, 0), seq)
                touched.add((epoch, key))
        return touched

    def _due(self, touched: set[tuple[str, str]], now: int) -> Iterator[tuple[str, str, bool]]:
        """Epoch, key, and whether the epoch is over: those with new events first."""
        over = {epoch for epoch in self._numbers if (times := epoch_times(epoch)) is None or times[1] + _GRACE < now}
        for epoch, key in sorted(touched):
            yield epoch, key, epoch in over
        for epoch in sorted(over):
            for key in self._numbers[epoch]:
                if (epoch, key) not in touched:
                    yield epoch, key, True


def load(objects: ObjectStore, digest: str) -> Epochs:
    """The table of that hash. Where it is missing or altered, epochs are known again by their next events."""
    if digest == GENESIS:
        return Epochs()
    data = objects.read(f"{_PREFIX}{digest}.json")
    if data is None or hashlib.sha256(data).hexdigest() != digest:
        log("ERROR", "audit.epochs_lost")
        return Epochs()
    return Epochs(_decode(data))
