"""A whole trail for tests: writers, their registry, the limits' numbers, an archive and a sealer, in virtual time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.admission.cells import document
from shared.audit.checkpoints import trusted
from shared.audit.record import parse_record
from shared.audit.sealer import Sealer, SealReport
from shared.audit.verdicts import Verification
from shared.audit.verify import Scope, Verifier
from shared.audit.writer import ChainWriter
from shared.identity.caller import Caller
from shared.policy.types import Audit
from shared.stores.documents import DocumentStore, Write
from shared.stores.events import Event
from shared.stores.objects import ObjectStore
from shared.stores.signers import Signature
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.audit_events import NOW, MemoryBus, MemoryObjects, Peppers, interaction, store_all
from tests.support.virtual_time import ManualClock

EPOCH = "60.12-3739583"
"""The epoch of the limits' numbers that ``NOW`` is in."""

MINUTE = 60.0


class KeySigner:
    """A signer that holds its key."""

    def __init__(self, seed: int = 1) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    def sign(self, message: bytes) -> Signature:
        return Signature(self._key.sign(message), self.public_keys()[0])

    def public_keys(self) -> list[bytes]:
        return [self._key.public_key().public_bytes_raw()]


class Trail:
    """Everything that takes part.

    Args:
        folder: For the document store's file.
        objects: The archive; default: in memory.
    """

    def __init__(self, folder: Path, objects: ObjectStore | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.memory = MemoryObjects()
        self.objects = objects or self.memory
        self.documents: DocumentStore = SqliteDocuments(folder / "documents.db", clock=self.clock)
        self.signer = KeySigner()
        self.chains: dict[str, list[Event]] = {}
        """Whatever a test wants to find again."""

    def chain(self, *interactions: Any, close: bool = True, registered: bool = True, store: bool = True) -> list[Event]:
        """Write a chain of interactions, one a second; its events."""
        bus = MemoryBus()
        writer = ChainWriter(bus, Peppers(), Audit(), self.clock, "//wardgate/guard")
        for each in interactions:
            writer.record(each)
            self.clock.advance(1)
        if close:
            writer.close()
        if registered:
            self.register(bus.events)
        if store:
            store_all(bus.events, self.objects)
        return bus.events

    def numbered(self, count: int, *, key: str = "key-1", epoch: str = EPOCH, **how: Any) -> list[Event]:
        """Write a chain of admitted interactions, after those of the key before."""
        path = document("key", key, epoch)
        found = self.documents.get(path)
        first = int(found.fields["seq"]) + 1 if found else 1
        numbers = range(first, first + count)
        self.documents.commit([Write(path, increments={"seq": count})])
        caller = Caller("acme", key, "api_key", frozenset({"chat"}))
        calls = [
            interaction(request_id=f"req_{n}", caller=caller, admission_seq=n, admission_epoch=epoch) for n in numbers
        ]
        return self.chain(*calls, **how)

    def register(self, events: list[Event]) -> None:
        """Register a chain's head as its writer does."""
        first, last = parse_record(events[0].data), parse_record(events[-1].data)
        fields = {
            "seq": last.seq,
            "fingerprint": last.fingerprint,
            "opened_at": first.time,
            "closed": last.type == "wardgate.chain.close",
        }
        self.documents.commit([Write(f"audit_heads/{last.chain_uid}", fields=fields)])

    def seal(self, since: date | None = None, **how: Any) -> SealReport:
        """One run of the sealer."""
        return self.sealer().seal(since=since, **how)

    def sealer(self) -> Sealer:
        return Sealer(self.objects, self.documents, self.signer, self.clock)

    def verify(self, *, later: float = 60 * MINUTE, registry: bool = True, **scope: Any) -> Verification:
        """What is found so many seconds later."""
        keys = trusted(KeySigner().public_keys())
        verifier = Verifier(self.objects, keys, self.documents if registry else None)
        return verifier.verify(self.now(later), Scope(**scope))

    def now(self, later: float = 0) -> datetime:
        return datetime.fromtimestamp(self.clock.now / 1e9 + later, UTC)

    def name(self, event: Event) -> str:
        """Where an event is archived."""
        uid, seq = event.id.split("/")
        return next(name for name in self.memory.objects if name.endswith(f"{uid}/{int(seq):016d}.json"))


def kinds(found: Verification) -> dict[str, set[str]]:
    """The kinds of faults by verdict, of those that have any."""
    return {
        name: {fault.kind for fault in verdict.faults.shown}
        for name, verdict in found.verdicts.items()
        if verdict.faults.count
    }
