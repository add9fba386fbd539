"""Checks the checkpoints: none missing, each linked to the one before, signed, and with the sums of its manifest."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from shared.audit import checkpoints
from shared.audit.checkpoints import MalformedCheckpoint, ReadCheckpoint
from shared.audit.record import GENESIS
from shared.audit.verdicts import Verdict
from shared.stores.objects import ObjectStore

_EARLIER = timedelta(days=1)
"""Checkpoints are read from so long before the first event that is wanted: clocks may differ."""


def check_checkpoints(
    objects: ObjectStore,
    keys: Mapping[str, bytes],
    verdict: Verdict,
    *,
    witnessed: tuple[int, str] | None = None,
    since: datetime | None = None,
) -> Iterator[ReadCheckpoint]:
    """Check every checkpoint in order, and give those that are to be believed.

    Args:
        objects: Holds them.
        keys: The public keys that are trusted, by thumbprint.
        verdict: Is told what is wrong.
        witnessed: Number and hash of the newest, as the document store has them.
        since: Begin with those made since; the first one's link is not judged then.

    Raises:
        StoreUnavailable: While iterating: the object store does not answer.
    """
    present = []
    for name in objects.list(checkpoints.PREFIX):
        number = checkpoints.number_of(name)
        if number is None:
            verdict.fault("checkpoint_malformed", name)
        else:
            present.append(number)
    start = 0 if since is None or not present else _first_since(objects, present, since)
    expected = present[start] if start else 0
    previous: ReadCheckpoint | None = None
    for number in present[start:]:
        if number > expected:
            verdict.fault("checkpoint_missing", numbered(expected, number - 1))
            previous = None
        expected = number + 1
        found = _read(objects, number)
        if found is None or found.header.number != number:
            verdict.fault("checkpoint_malformed", checkpoints.object_name(number))
            previous = None
            continue
        if _is_sound(found, previous, keys, verdict):
            yield found
        if witnessed is not None and witnessed[0] == number and witnessed[1] != found.hash:
            verdict.fault(
                "checkpoint_unlinked", f"{checkpoints.object_name(number)} is not the one that was registered"
            )
        previous = found
    if witnessed is not None and witnessed[0] >= expected:
        verdict.fault("checkpoint_missing", f"{numbered(expected, witnessed[0])}, as registered")


def numbered(first: int, last: int) -> str:
    """Checkpoints by their numbers, in words."""
    return f"checkpoint {first}" if first == last else f"checkpoints {first} to {last}"


def _is_sound(
    found: ReadCheckpoint, previous: ReadCheckpoint | None, keys: Mapping[str, bytes], verdict: Verdict
) -> bool:
    """Whether a checkpoint's manifest is to be believed; tells everything that is wrong with it."""
    header = found.header
    name = checkpoints.object_name(header.number)
    signed, fits = found.is_signed_by(keys), found.fits_root()
    if not signed:
        verdict.fault("checkpoint_unsigned", f"{name}, key {found.key}")
    if not fits:
        verdict.fault("checkpoint_root", name)
    if header.number == 0:
        linked, total = header.previous == GENESIS, header.size
    elif previous is not None:
        linked, total = header.previous == previous.hash, previous.header.total + header.size
    else:
        linked, total = True, header.total
    if not linked:
        verdict.fault("checkpoint_unlinked", name)
    elif total != header.total:
        verdict.fault("checkpoint_root", f"{name}, its total")
    return signed and fits


def _read(objects: ObjectStore, number: int) -> ReadCheckpoint | None:
    data = objects.read(checkpoints.object_name(number))
    try:
        return checkpoints.read_checkpoint(data) if data is not None else None
    except MalformedCheckpoint:
        return None


def _first_since(objects: ObjectStore, present: list[int], since: datetime) -> int:
    """Index of the first checkpoint that may hold events since then, or of the newest. Their times rise."""
    wanted = (since - _EARLIER).astimezone(UTC).isoformat(timespec="microseconds")

    def time_of(number: int) -> str:
        found = _read(objects, number)
        return found.header.time if found is not None else ""

    return min(bisect_left(present, wanted, key=time_of), len(present) - 1)
