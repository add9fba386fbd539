"""What the gateway tells the audit trail of one interaction, and what it gets back for the receipt."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from shared.discreet import Discreet
from shared.errors import StoreUnavailable
from shared.guards.port import Finding, GuardRun
from shared.identity.caller import Caller

Decision = Literal["answered", "blocked", "denied", "refused", "failed", "cancelled", "replayed", "killed"]
"""How an interaction ended: answered; blocked by a guard; denied by a limit; refused as malformed;
failed upstream; cancelled by the client hanging up; replayed for an ``Idempotency-Key``; or refused or ended by
the kill switch."""


class Interaction(Discreet, Struct, frozen=True):
    """One request as the trail remembers it. Texts are given here and leave only as keyed hashes."""

    request_id: str
    route: str
    caller: Caller
    decision: Decision
    policy_digest: str
    started_at: int
    """Nanoseconds since the Unix epoch."""

    ended_at: int
    prompt: str | None = None
    """All text of the request, canonically joined; only its HMAC and length are kept."""

    answer: str | None = None
    """All text of the answer as it was returned; only its HMAC and length are kept."""

    kept_prompt: str | None = None
    kept_answer: str | None = None
    """Of both what a sealed copy may hold: no secret and no personal data on which a guard acted."""

    user: str | None = None
    """The end user; only its HMAC is kept."""

    model: str | None = None
    """The alias that was asked for."""

    upstream: str | None = None
    upstream_model: str | None = None
    """The upstream's own version string of the model that answered (LLM03)."""

    stream: bool = False
    error_code: str | None = None
    finish_reasons: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    findings: tuple[Finding, ...] = ()
    guards: tuple[GuardRun, ...] = ()
    unscanned_parts: int = 0
    admission_seq: int | None = None
    admission_epoch: str | None = None
    admission_mode: str | None = None
    admission_unknown: tuple[tuple[str, int], ...] = ()
    """Limits and amounts of a charge of which nobody knows whether the store took it."""

    limits_charged: tuple[str, ...] = ()
    limit_exceeded: str | None = None
    trace_id: str | None = None
    started: Recorded | None = None
    """Where the beginning of a streamed answer stands in the trail."""


class Started(Discreet, Struct, frozen=True):
    """A request whose answer is about to be streamed, as far as it is known; fields as in ``Interaction``."""

    request_id: str
    route: str
    caller: Caller
    policy_digest: str
    started_at: int
    prompt: str | None = None
    user: str | None = None
    model: str | None = None
    stream: bool = True
    admission_seq: int | None = None
    admission_epoch: str | None = None
    admission_mode: str | None = None
    trace_id: str | None = None


class TurnedAway(Struct, frozen=True):
    """A request of a known caller that this process turned away by itself, without an event of its own."""

    tenant: str
    key_id: str
    decision: Literal["denied", "refused"]
    limit: str | None = None
    """The limit of the policy that was used up …"""

    error: str | None = None
    """… or else the error's code."""


class Operator(Struct, frozen=True):
    """Who works on Wardgate, as far as the machine they work on tells."""

    name: str
    source: Literal["environment", "os_user", "function", "id_token"]
    """``WARDGATE_OPERATOR`` says so, or it is the account that the process runs under, or one of Wardgate's
    functions acts by itself, or a token that guard has verified says so."""


class Operation(Struct, frozen=True):
    """Something an operator did, as the trail remembers it."""

    action: str
    """Such as ``kill.on``."""

    subject: str
    """What it was done to."""

    operator: Operator
    reason: str | None = None


class Recorded(Struct, frozen=True):
    """Where an interaction stands in the trail."""

    chain_uid: str
    seq: int
    fingerprint: str
    published: bool
    """Whether the bus has acknowledged it."""


class Unacknowledged(StoreUnavailable):
    """The bus has not acknowledged an event, which has its place in the chain all the same and is sent again."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__("The audit event was not acknowledged.")
        self.recorded = recorded


class Trail(Protocol):
    """Takes interactions for the tamper-evident trail."""

    def start(self, started: Started) -> Recorded:
        """Append the beginning of a streamed answer. Raises as ``record`` does; what was given a place must
        be ended with ``record`` also then."""

    def record(self, interaction: Interaction) -> Recorded:
        """Append one event to this process's chain and publish it.

        Raises:
            Unacknowledged: Not acknowledged in time, and the policy's mode is ``fail_close``.
            StoreUnavailable: Likewise, and the event has no place in the chain.
        """

    def turned_away(self, request: TurnedAway) -> None:
        """Count a request; the counts become events. Never raises."""


class OperationTrail(Protocol):
    """Takes operations for the same trail."""

    def record_operation(self, operation: Operation) -> Recorded:
        """Append one event. Raises as ``Trail.record`` does."""
