"""What the gateway asks of admission: reserve before the work, settle after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from shared.errors import RateLimited, ServiceUnavailable
from shared.identity.caller import Caller


class Usage(Struct, frozen=True):
    """What a request costs, estimated before it runs and counted after."""

    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0
    """In millionths of the policy's currency."""


class LimitState(msgspec.Struct, frozen=True):
    """One limit as it stands after a decision, for the response headers."""

    name: str
    kind: str
    """What is counted: ``requests``, ``tokens``, ``concurrency`` or ``cost``."""

    amount: int
    window_seconds: int
    """Length of the window, a day for a daily budget; 0 for calls that run at once."""

    remaining: int
    reset_seconds: float
    """Until the limit is whole again if nothing more is charged."""

    more_seconds: float = 0.0
    """Until ``remaining`` grows if nothing more is charged; 0 where nothing is charged."""


class Unknown(Struct, frozen=True):
    """A charge of which nobody knows whether the store took it, for the audit event."""

    at: int
    """Nanoseconds since the Unix epoch."""

    costs: tuple[tuple[str, int], ...]
    """What each limit would have been charged, by name."""


class Reservation(msgspec.Struct, frozen=True):
    """A request that was let in. Hand it back to ``settle`` exactly once, however the request ends."""

    limits: tuple[LimitState, ...]
    seq: int
    """Counts the admissions and committed denials of this key from 1: a gap proves a missing event."""

    epoch: str
    """The numbering that ``seq`` belongs to."""

    committed: int = 0
    """The store's time of the commit that let it in, in nanoseconds since the Unix epoch; 0 without one."""

    mode: str = "normal"
    """How it was decided: ``normal``, or the failure mode that applied: ``failed_open`` or ``local``."""

    over: tuple[str, ...] = ()
    """Limits in mode ``monitor`` that would have denied it."""

    unknown: Unknown | None = None
    """Where the store did not say whether it took the charge."""

    charges: Any = None
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
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or used_up(exceeded, retry_after), headers=headers)
        self.exceeded = exceeded
        self.retry_after = retry_after
        self.limits = limits
        self.seq = seq
        """The denial's admission number, or None where it was decided without a commit."""
        self.epoch = epoch
        """The numbering that ``seq`` belongs to."""
        self.mode = "normal"
        """As in ``Reservation``."""
        self.unknown: Unknown | None = None
        """As in ``Reservation``."""


def used_up(exceeded: LimitState, retry_after: float) -> str:
    """What a caller is told whose limit is used up."""
    return f"Limit '{exceeded.name}' is used up: {_terms(exceeded)}. Retry in {retry_after:.1f} s."


class LargerThanLimit(RateLimited):
    """A request alone is more than a limit grants at all. Final: waiting does not help."""

    def __init__(self, name: str, kind: str, amount: int, cost: int) -> None:
        super().__init__(
            f"Limit '{name}' grants {amount} {_UNITS[kind]} at most, and this request alone may use {cost}.",
            code="request_exceeds_limit",
            headers={"x-should-retry": "false"},
        )
        self.limit = name


class AdmissionUnavailable(ServiceUnavailable):
    """The limits cannot be read, and the policy's mode is ``closed``."""

    def __init__(self, unknown: Unknown | None) -> None:
        super().__init__(
            "The limits cannot be read now, so no request is let in.",
            code="admission_unavailable",
            headers={"retry-after": "1"},
        )
        self.unknown = unknown
        """As in ``Reservation``."""


_UNITS = {
    "requests": "requests",
    "tokens": "tokens",
    "concurrency": "calls at once",
    "cost": "millionths of the currency",
}


def _terms(limit: LimitState) -> str:
    """What a limit grants, in words."""
    within = f" in {limit.window_seconds} s" if limit.window_seconds else ""
    return f"{limit.amount} {_UNITS[limit.kind]}{within}"


class Admission(Protocol):
    """Charges limits before a request runs and corrects the charge when it has ended."""

    def reserve(self, caller: Caller, model: str, estimate: Usage) -> Reservation:
        """Charge every limit that applies to the caller, all or none.

        Raises:
            LimitExceeded: A limit is used up; nothing stays charged.
            LargerThanLimit: The estimate alone is more than a limit grants.
            AdmissionUnavailable: The limits cannot be read and the policy's mode is ``closed``.
        """

    def settle(self, reservation: Reservation, actual: Usage) -> None:
        """Correct the reservation to what was really used, once. Never raises; a failure is logged."""
