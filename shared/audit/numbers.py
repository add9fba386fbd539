"""Checks admission numbers: each key's numbers of an epoch must be whole from 1 to the last that was given out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter

from shared.admission.numbering import epoch_times
from shared.audit.chains import Bounds, Crashed
from shared.audit.record import timestamp
from shared.audit.verdicts import Verdict, Verification, numbers

KILLED = "a process was killed at that time: {} was never closed"
NO_ANSWER = "the limits' store did not say whether it took a charge, so a number may be no request's"

_AROUND = timedelta(minutes=10)
"""How far the times of a number and of what excuses it may be apart: longer than a call lasts."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """Numbers without an event."""

    first: int
    last: int
    after: str
    """When they must have been given out: not before this time …"""

    before: str
    """… and not later than this one."""

    @property
    def count(self) -> int:
        return self.last - self.first + 1


def check_numbers(facts: Iterable[str], crashed: Sequence[Crashed], bounds: Bounds, found: Verification) -> None:
    """Check the numbers of every key and epoch.

    Args:
        facts: Lines of ``shared.audit.lines``, sorted.
        crashed: Chains that explain a number without an event: its request died with its process.
        bounds: What is judged.
        found: Is told everything.
    """
    unknown: list[str] = []
    """Times of the key's charges of unknown outcome that explain nothing yet."""
    last_key = ""
    for place, lines in groupby((line.rpartition(" ") for line in facts), itemgetter(0)):
        key, epoch = place.split(" ")
        if key != last_key:
            last_key, unknown = key, []
        about = (line[2] for line in lines)
        if not epoch:
            unknown = [fact[1:] for fact in about]
            continue
        found.epochs += 1
        for missing in _missing(key, epoch, about, bounds, found.completeness):
            _judge(missing, f"key {key} in epoch {epoch}", unknown, crashed, bounds, found.completeness)


def _missing(key: str, epoch: str, facts: Iterable[str], bounds: Bounds, verdict: Verdict) -> Iterator[_Missing]:
    """The gaps among an epoch's numbers; facts are in order, those of checkpoints last."""
    begins = _begins(epoch)
    # Of an epoch that began before `since`, only the numbers after the first one seen are judged.
    expected: int | None = None if begins < bounds.since else 1
    highest, seen_at = 0, begins
    last, last_at, final = 0, "", False
    for fact in facts:
        number, time = int(fact[1:17], 16), fact[17:44]
        if fact[0] == "1":
            if expected is not None and number > expected:
                yield _Missing(expected, number - 1, seen_at, time)
            expected, highest, seen_at = number + 1, number, time
        elif time < bounds.recent:  # what a younger checkpoint counted may have its event on the way
            last, last_at = max(last, number), max(last_at, time)
            final = final or fact[44] == "f"
    if expected is not None and last > highest:
        yield _Missing(highest + 1, last, seen_at, last_at)
    if final and highest > last:
        verdict.fault("beyond", f"{highest} of {last}, key {key} in epoch {epoch}")


def _judge(
    missing: _Missing, of: str, unknown: list[str], crashed: Sequence[Crashed], bounds: Bounds, verdict: Verdict
) -> None:
    """Say what missing numbers mean, and use up what excuses them."""
    where = f"admission {numbers(missing.first, missing.last)} of {of}"
    earliest, latest = _shifted(missing.after, -_AROUND), _shifted(missing.before, _AROUND)
    if missing.before >= bounds.recent:
        verdict.wait("unrecorded", where)
        return
    near = [time for time in unknown if earliest <= time <= latest]
    if len(near) >= missing.count:
        for time in near[: missing.count]:
            unknown.remove(time)
        verdict.excuse("unrecorded", where, NO_ANSWER)
        return
    # A killed process wrote nothing after it took the number, but for answers that were under way.
    suspect = next((chain for chain in crashed if chain.first <= latest and earliest <= chain.last <= latest), None)
    if suspect is not None:
        verdict.excuse("unrecorded", where, KILLED.format(f"chain {suspect.chain_uid}"), suspect.chain_uid)
    else:
        verdict.fault("unrecorded", where)


def _begins(epoch: str) -> str:
    times = epoch_times(epoch)
    return timestamp(times[0]) if times is not None else ""


def _shifted(time: str, by: timedelta) -> str:
    if not time:
        return time
    try:
        moment = datetime.fromisoformat(time).astimezone(UTC) + by
    except (ValueError, OverflowError):  # no date at all: such a record is at fault by itself
        return time
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"
