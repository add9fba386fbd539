"""Chunks of limits that many processes share: taken at once, spent one by one, without a commit for each.

A document that every process writes sustains few writes a second. So a process charges more than it
needs to the current bucket of a tenant's or everyone's limit, and spends the rest in that bucket only:
all of it has been charged where it is spent, so the limit stays exact. What is left when the bucket is
over is given back with a later commit; if the process dies first, it goes with the bucket.
"""

from __future__ import annotations

import threading

from msgspec import structs

from shared.admission.cells import Charge
from shared.admission.port import LimitState

SHARE = 8
"""A chunk is at most one part in so many of what is free, so that the last of it is left to whoever comes."""

PATIENCE = 16
"""Refunds wait for the next commit until they are one part in so many of the limit."""


class Purse:
    """What one process holds of one counter. Thread-safe."""

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._lock = threading.Lock()
        self._bucket = 0
        self._cell: Charge | None = None
        self._balance = 0
        self._spent = 0
        self._spent_before = 0
        self._free = 0
        self._owed: dict[tuple[str, str], Charge] = {}
        self._state: LimitState | None = None

    def withdraw(self, bucket: int, amount: int) -> Charge | None:
        """Spend ``amount`` of what is held of ``bucket``; None where that is less."""
        with self._lock:
            self._turn_to(bucket)
            if bucket != self._bucket or self._cell is None or self._balance < amount:
                return None
            self._balance -= amount
            self._spent += amount
            return structs.replace(self._cell, amount=amount)

    def chunk(self, bucket: int, needed: int) -> int:
        """How much to take where ``needed`` is missing: what was used lately, but no large part of what is free."""
        with self._lock:
            self._turn_to(bucket)
            return max(needed, min(max(self._spent, self._spent_before), self._free // SHARE))

    def put(self, bucket: int, cell: Charge, *, left: int, spent: int, free: int, state: LimitState) -> None:
        """A chunk has been taken.

        Args:
            bucket: Where it is charged.
            cell: The same as a charge; its amount is of no account.
            left: What has not been spent of it.
            spent: What has.
            free: What the limit has left for all.
            state: How the limit stands.
        """
        with self._lock:
            self._turn_to(bucket)
            if bucket != self._bucket:
                self._owe(cell, left)
                return
            self._cell = cell
            self._balance += left
            self._spent += spent
            self._free = free
            self._state = state

    def refund(self, charge: Charge, amount: int) -> None:
        """Take back a part of what was spent; negative where more was used than charged.

        No more of it is kept for this process than a chunk may hold: the rest is owed to all.
        """
        with self._lock:
            cell, kept = self._cell, 0
            if amount > 0 and cell is not None and (cell.path, cell.field) == (charge.path, charge.field):
                kept = max(0, min(amount, self._amount // SHARE - self._balance))
                self._balance += kept
            if amount != kept:
                self._owe(charge, amount - kept)

    def due(self, before: int, *, all_of_it: bool) -> list[Charge]:
        """What is to be taken back from the document; whoever asks has to commit it.

        Args:
            before: What leaves before that time goes by itself.
            all_of_it: Also where it is hardly worth a commit.
        """
        with self._lock:
            if not self._owed or not (
                all_of_it or sum(abs(charge.amount) for charge in self._owed.values()) * PATIENCE >= self._amount
            ):
                return []
            owed, self._owed = self._owed, {}
        return [charge for charge in owed.values() if charge.leaves > before and charge.amount]

    def state(self) -> LimitState | None:
        """How the limit stood when it was last seen, with what is held here."""
        with self._lock:
            state = self._state
            return state and structs.replace(state, remaining=min(self._amount, self._free + self._balance))

    def _turn_to(self, bucket: int) -> None:
        if bucket <= self._bucket:
            return
        if self._cell is not None and self._balance:
            self._owe(self._cell, self._balance)
        self._bucket, self._cell, self._balance = bucket, None, 0
        self._spent, self._spent_before = 0, self._spent

    def _owe(self, cell: Charge, amount: int) -> None:
        place = (cell.path, cell.field)
        owed = self._owed.get(place)
        self._owed[place] = structs.replace(cell, amount=amount + (owed.amount if owed else 0))
