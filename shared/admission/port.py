"""What the gateway asks of admission: reserve before the work, settle after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.errors import RateLimited
from shared.identity.caller import Caller


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request costs, estimated before it runs and counted after."""

    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit as it stands after a decision, for the response headers."""

    name: str
    kind: str
    """What is counted: ``requests``."""

    amount: int
    window_seconds: int
    remaining: int
    reset_seconds: float
    """Until the limit is whole again if nothing more is charged."""

    more_seconds: float = 0.0
    """Until ``remaining`` grows if nothing more is charged; 0 where nothing is charged."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request that was let in. Hand it back to ``settle`` exactly once, however the request ends."""

    limits: tuple[LimitState, ...]
    seq: int
    """Counts the admissions and committed denials of this key from 1: a gap proves a missing event."""

    epoch: str
    """The numbering that ``seq`` belongs to."""

    mode: str = "normal"
    """How it was decided: ``normal``, or the failure mode that applied."""

    charges: Any = field(default=None, repr=False)
    """The adapter's own note of what was charged where."""


class LimitExceeded(RateLimited):
    """A limit is used up. Carries the evidence for the answer's headers and the audit event."""

    def __init__(
        self,
        exceeded: LimitState,
        retry_after: float,
        limits: tuple[LimitState, ...],
        *,
        seq: int | None,
        epoch: str | None = None,
    ) -> None:
        super().__init__(
            f"Limit '{exceeded.name}' is used up: {exceeded.amount} {exceeded.kind} in "
            f"{exceeded.window_seconds} s. Retry in {retry_after:.1f} s."
        )
        self.exceeded = exceeded
        self.retry_after = retry_after
        self.limits = limits
        self.seq = seq
        """The denial's admission number, or None where it was decided without a commit."""
        self.epoch = epoch
        """The numbering that ``seq`` belongs to."""


class Admission(Protocol):
    """Charges limits before a request runs and corrects the charge when it has ended."""

    def reserve(self, caller: Caller, model: str, estimate: Usage) -> Reservation:
        """Charge every limit that applies to the caller, all or none.

        Raises:
            LimitExceeded: A limit is used up; nothing stays charged.
            ServiceUnavailable: The limits cannot be read and the policy's mode is ``closed``.
        """

    def settle(self, reservation: Reservation, actual: Usage) -> None:
        """Correct the reservation to what was really used. Never raises; a failure is logged."""
