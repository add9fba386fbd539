"""Checks the whole trail: three verdicts, over any number of events, in bounded memory.

What is read becomes facts, one line each, which are sorted on disk and then compared place by place
(``shared.audit.lines``): the event that the archive holds, the one that a checkpoint sealed, and the head
that its writer registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from shared.audit import anchors, sources
from shared.audit.chains import Bounds, check_chains
from shared.audit.checkpoints import ReadCheckpoint, places
from shared.audit.lines import last_number_line, sealed_line
from shared.audit.numbers import check_numbers
from shared.audit.record import timestamp
from shared.audit.registry import read_heads, read_witness
from shared.audit.sorting import SortedLines
from shared.audit.sources import Facts
from shared.audit.verdicts import Verification
from shared.stores.documents import DocumentStore
from shared.stores.objects import ObjectStore

PENDING = timedelta(minutes=10)
"""What is so young may have events on their way, or not be sealed yet."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What to check."""

    since: date | None = None
    """Only events from this day on (UTC)."""

    from_segments: bool = False
    """Read sealed events from their segments, not from the archive: fast, and blind to an archive that differs."""


class Verifier:
    """Checks the trail against the keys that are trusted and what was registered."""

    def __init__(
        self,
        objects: ObjectStore,
        keys: Mapping[str, bytes],
        documents: DocumentStore | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """For one verification.

        Args:
            objects: Holds the archive and the checkpoints.
            keys: Public keys that may sign checkpoints, by their thumbprints.
            documents: Holds what writers and the sealer have registered; None: that is not checked.
            progress: Is told from time to time how many events were read, and how many have been sealed at least.
        """
        self._objects = objects
        self._keys = keys
        self._documents = documents
        self._progress = progress or (lambda read, sealed: None)
        self._read = self._sealed = 0

    def verify(self, now: datetime, scope: Scope = Scope()) -> Verification:  # it is immutable
        """Check everything.

        Args:
            now: Aware; decides what is too young to judge.
            scope: What to check.

        Raises:
            StoreUnavailable: A store does not answer.
        """
        found = Verification()
        first = scope.since.isoformat() if scope.since else ""
        bounds = Bounds(_text(now - PENDING), first)
        with SortedLines() as facts, SortedLines() as numbers:
            newest = None
            for newest in self._checkpoints(found, scope):
                _note_heads(newest, numbers)
                if scope.from_segments:
                    self._note(sources.sealed(self._objects, newest, first), facts, numbers, found)
                else:
                    _note_seals(newest, first, facts)
            if scope.from_segments:
                rest = sources.unsealed(self._objects, newest, now.astimezone(UTC).date(), found.integrity)
            else:
                rest = sources.archived(self._objects, scope.since)
            for some in rest:
                self._note(some, facts, numbers, found)
            heads = read_heads(self._documents) if self._documents else iter(())
            crashed = list(check_chains(facts, heads, bounds, found))
            check_numbers(numbers, crashed, bounds, found)
        return found

    def _checkpoints(self, found: Verification, scope: Scope) -> Iterator[ReadCheckpoint]:
        witnessed = read_witness(self._documents) if self._documents else None
        since = datetime.combine(scope.since, time(), UTC) if scope.since else None
        for checkpoint in anchors.check_checkpoints(
            self._objects, self._keys, found.anchoring, witnessed=witnessed, since=since
        ):
            found.checkpoints += 1
            self._sealed = checkpoint.header.total
            yield checkpoint

    def _note(self, some: Facts, facts: SortedLines, numbers: SortedLines, found: Verification) -> None:
        facts.extend(some.events)
        numbers.extend(some.numbers)
        for finding in some.findings:
            found.integrity.faults.add(finding)
        self._read += some.count
        self._progress(self._read, self._sealed)


def _note_heads(checkpoint: ReadCheckpoint, numbers: SortedLines) -> None:
    time = checkpoint.header.time
    for head in checkpoint.header.admission:
        numbers.add(last_number_line(head.key_id, head.epoch, head.last, time, final=head.final))


def _note_seals(checkpoint: ReadCheckpoint, first: str, facts: SortedLines) -> None:
    facts.extend(
        sealed_line(uid, seq, fingerprint) for day, uid, seq, fingerprint in places(checkpoint.manifest) if day >= first
    )


def _text(moment: datetime) -> str:
    """A time in the form of records' times."""
    return timestamp(int(moment.timestamp() * 1_000_000) * 1000)
