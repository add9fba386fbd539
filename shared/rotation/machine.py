"""What a rotation does next: the state machine, as a pure function of the record, the time and the order.

    IDLE → MINTING → STORED → TESTED → PROMOTED → (grace) → DISABLED → (bake) → destroyed → IDLE
               └─────────┴── ABORTING → IDLE

The one commit point is the write that makes a record PROMOTED: it moves the pointer. Until then any failure
leads to ABORTING, from then on only forward, or back by a rollback in the grace period.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from shared.rotation.record import RotationRecord

SECOND = 1_000_000_000

MOST_TRIES = 5
"""Attempts to make one key, and tests of it, before the rotation is given up and begun anew later."""

BACKOFF_SECONDS = 60
LONGEST_BACKOFF_SECONDS = 6 * 3600

FOREVER = 2**63 - 1
"""As ``Order.before``: whatever there is now."""

Keep = Literal["none", "referenced", "always"]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things last, in seconds."""

    period: int
    """From one version to the next."""

    grace: int
    """The previous version stays valid beside the current one."""

    bake: int
    """A disabled version can still be brought back, before it is destroyed."""

    lead: int = 0
    """A tested version waits before it is promoted, so that its public key is known before it signs."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for beyond what is due. It holds until a rotation has begun."""

    before: int | None = None
    """Rotate what was made before this time. A repeated order is thus carried out once."""

    urgent: bool = False
    """Revoke at once, without a grace period: the key leaked."""


SCHEDULE = Order()
"""What is due, and nothing else."""

Move = Literal["begin", "mint", "test", "promote", "hurry", "end_grace", "retire", "destroy", "abort", "finish"]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now."""

    why: Literal["not_due", "cannot_mint", "backoff", "publishing", "in_grace", "baking"]
    until: int | None = None


def next_move(record: RotationRecord, now: int, timing: Timing, order: Order, *, mints: bool) -> Move | Wait:
    """What to do with a secret.

    Args:
        record: As it stands.
        now: Nanoseconds since the Unix epoch.
        timing: The policy for this secret.
        order: What somebody asked for.
        mints: Whether the secret's driver can make a key.
    """
    ordered = _is_for(order, record)
    if record.state in ("MINTING", "STORED", "TESTED") and order.urgent and not record.urgent:
        return "hurry"
    if now < record.retry_at and not ordered and record.state in ("MINTING", "STORED", "DISABLED"):
        return Wait("backoff", record.retry_at)
    match record.state:
        case "IDLE":
            return _idle(record, now, timing, mints=mints, ordered=ordered)
        case "MINTING":
            return "mint" if record.tries < MOST_TRIES else "abort"
        case "STORED":
            return "test" if record.tries < MOST_TRIES else "abort"
        case "TESTED":
            published = record.since + timing.lead * SECOND
            if record.current is None or record.urgent or now >= published:
                return "promote"
            return Wait("publishing", published)
        case "PROMOTED":
            return _promoted(record, now, timing, order)
        case "DISABLED":
            return _disabled(record, now, timing, ordered=ordered and mints)
        case "ABORTING":
            return "abort"


def _idle(record: RotationRecord, now: int, timing: Timing, *, mints: bool, ordered: bool) -> Move | Wait:
    due = due_at(record, timing)
    if not ordered and now < due:
        return Wait("not_due", due)
    if not mints:
        return Wait("cannot_mint")
    return Wait("backoff", record.begin_at) if now < record.begin_at and not ordered else "begin"


def _promoted(record: RotationRecord, now: int, timing: Timing, order: Order) -> Move | Wait:
    if record.previous is None:
        return "finish"
    over = record.since + timing.grace * SECOND
    if now >= over or record.urgent or order.urgent:
        return "end_grace"
    return Wait("in_grace", over)


def _disabled(record: RotationRecord, now: int, timing: Timing, *, ordered: bool) -> Move | Wait:
    if not record.retired:
        return "retire"
    if ordered:
        return "begin"
    over = record.since + timing.bake * SECOND
    return "destroy" if now >= over else Wait("baking", over)


def _is_for(order: Order, record: RotationRecord) -> bool:
    """Whether an order asks for more than has been done."""
    return order.before is not None and (record.current is None or record.current.made_at < order.before)


def due_at(record: RotationRecord, timing: Timing) -> int:
    """When the current version is to be replaced; at once where there is none."""
    return 0 if record.current is None else record.current.made_at + timing.period * SECOND


def backoff(failures: int, chance: random.Random) -> int:
    """Nanoseconds to wait after so many failures in a row: doubling, bounded, and up to a half shorter by chance,
    so that secrets which failed together do not all come back together."""
    whole = min(BACKOFF_SECONDS << min(failures - 1, 16), LONGEST_BACKOFF_SECONDS)
    return round(whole * (0.5 + chance.random() / 2) * SECOND)
