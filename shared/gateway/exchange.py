"""One interaction between its reservation and its end: settled, recorded and receipted exactly once."""

from __future__ import annotations

from msgspec import Struct, field

from shared.admission.port import Reservation, Unknown, Usage
from shared.admission.usage import uncounted, used
from shared.audit.port import Decision, Interaction, Recorded, Started, TurnedAway, Unacknowledged
from shared.discreet import Discreet
from shared.errors import ApiError, ContentFiltered, ServiceUnavailable, StoreError
from shared.gateway.call import Call
from shared.gateway.services import Services
from shared.guards.answer import answer_digest, awaiting_approval
from shared.guards.inspection import Inspection
from shared.guards.pipeline import Pipeline
from shared.guards.port import VERDICTS, Finding, GuardRun, Verdict
from shared.guards.receipt import Receipt
from shared.identity.caller import Caller
from shared.models.wire import ChatCompletion, TokenUsage
from shared.policy.types import ModelAlias
from shared.switch.switch import CallKilled
from shared.web.log import log


class Exchange(Discreet, Struct):
    """Collects what becomes known of an interaction until it ends.

    ``end`` or ``fail`` must be reached on every way out; a second call does nothing, so that a last
    resort may call them too.
    """

    services: Services
    call: Call
    route: str
    caller: Caller
    """The call's, with the end user that the request states where it may state one."""

    started_at: int
    user: str | None = None
    model: str | None = None
    stream: bool = False
    reservation: Reservation | None = None
    denial: tuple[int | None, str | None] = (None, None)
    """Number of a denial and the numbering it belongs to."""

    limit_exceeded: str | None = None
    admission_mode: str | None = None
    admission_unknown: Unknown | None = None
    """A charge of which nobody knows whether the store took it."""

    estimate: Usage | None = None
    """What the model may use of tokens; None where no model is asked."""

    alias: ModelAlias | None = None
    model_asked: bool = False
    """Whether the model is at work, or has been and may have used something."""

    answer_bytes: int | None = None
    """What the model has said so far; None until it says something."""

    prompt: str | None = None
    answer: str | None = None
    kept_prompt: str | None = None
    kept_answer: str | None = None
    """What a sealed copy may hold of them."""

    bytes_sent: int | None = None
    bytes_returned: int | None = None
    """As in the receipt."""

    verdict: Verdict = "allow"
    findings: list[Finding] = field(default_factory=list)
    guards: list[GuardRun] = field(default_factory=list)
    unscanned_parts: int = 0
    upstream: str | None = None
    upstream_model: str | None = None
    usage: TokenUsage | None = None
    finish_reasons: tuple[str, ...] = ()
    decision: Decision | None = None
    """How it ended; None while it runs."""

    error_code: str | None = None

    started: Recorded | None = None
    """Where the trail says that a streamed answer begins."""

    recorded: Recorded | None = None

    @property
    def request_id(self) -> str:
        """By which the call is known to everybody."""
        return self.call.request_id

    @property
    def pipeline(self) -> Pipeline:
        """The guards of the caller's tenant."""
        return self.services.pipelines.of(self.caller.tenant)

    @property
    def answer_id(self) -> str:
        """How the answer is called: by the request's id, since no guard reads what a provider calls it."""
        return f"chatcmpl-{self.request_id}"

    @property
    def trace_id(self) -> str | None:
        """The caller's trace, if it has one."""
        return self.call.trace_id

    def answered_by(self, upstream: str, upstream_model: str) -> None:
        """Note which upstream answers, and its own version string of the model."""
        self.upstream, self.upstream_model = upstream, upstream_model

    def prompt_inspected(self, inspection: Inspection) -> None:
        """Note what the guards made of the prompt."""
        self.prompt, self.kept_prompt = inspection.text, inspection.kept
        self.unscanned_parts = len(inspection.unscanned)
        self._inspected(inspection)

    def answer_inspected(self, inspection: Inspection) -> None:
        """Note what the guards made of the answer."""
        self.answer, self.kept_answer = inspection.text, inspection.kept
        self.bytes_returned = inspection.bytes_forwarded
        self._inspected(inspection)

    def _inspected(self, inspection: Inspection) -> None:
        self.verdict = max(self.verdict, inspection.verdict, key=VERDICTS.index)
        self.findings += inspection.findings
        self.guards += inspection.runs
        for guard, fault in inspection.faults.items():
            log("ERROR", "guard.failed", request_id=self.request_id, guard=guard, error=fault)

    def start(self) -> None:
        """Record that a streamed answer begins, before its first byte.

        Raises:
            ServiceUnavailable: The event could not be made safe, and the policy says ``fail_close``.
        """
        seq, epoch = self._admission()
        started = Started(
            request_id=self.request_id,
            route=self.route,
            caller=self.caller,
            policy_digest=self.services.policy.digest,
            started_at=self.started_at,
            prompt=self.prompt,
            user=self.user,
            model=self.model,
            admission_seq=seq,
            admission_epoch=epoch,
            admission_mode=self.admission_mode,
            trace_id=self.trace_id,
        )
        try:
            self.started = self.services.trail.start(started)
        except Unacknowledged as error:
            self.started = error.recorded
            raise self._unrecorded(error) from error
        except StoreError as error:
            raise self._unrecorded(error) from error

    def turned_away(self, limit: str) -> None:
        """End with a denial that cost no commit: it is counted with others like it, not recorded by itself."""
        self.decision = "denied"
        self.call.recorded = True
        caller = self.caller
        self.services.trail.turned_away(TurnedAway(caller.tenant, caller.key_id, "denied", limit=limit))

    def fail(self, error: ApiError) -> None:
        """End without an answer: blocked by a guard, killed by the operator, or failed. Raises as ``end`` does."""
        self.end(_decision(error), error.code)

    def end(self, decision: Decision, error_code: str | None = None) -> None:
        """Settle the reservation and record the event.

        Raises:
            ServiceUnavailable: The event could not be made safe, and the policy says ``fail_close``.
        """
        if self.decision is not None:
            return
        self.decision, self.error_code = decision, error_code
        self.call.recorded = True
        if self.answer is None and self.prompt is not None and self.model is not None:
            self.guards += self.pipeline.not_run("output")
        actual = self._actual()
        if self.reservation is not None:
            self.services.admission.settle(self.reservation, actual)
        if self.model_asked:
            self._log_usage(actual)
        try:
            self.recorded = self.services.trail.record(self._interaction(decision, error_code))
        except StoreError as error:
            raise self._unrecorded(error) from error

    def _unrecorded(self, error: StoreError) -> ServiceUnavailable:
        log("ERROR", "audit.unavailable", request_id=self.request_id, error=type(error).__name__)
        return ServiceUnavailable(
            "The audit trail cannot take the event of this request, so no answer is given.", code="audit_unavailable"
        )

    def receipt(self, answer: ChatCompletion) -> str:
        """The signed receipt of an answer, once the exchange has ended.

        Raises:
            ServiceUnavailable: There is no key to sign with.
        """
        if self.decision is None:
            raise RuntimeError("A receipt tells how an exchange ended.")
        recorded = self.recorded
        return self.services.signer().sign(
            Receipt(
                issued_at=self.services.clock.time_ns() // 1_000_000_000,
                request_id=self.request_id,
                key_id=self.caller.key_id,
                policy_digest=self.services.policy.digest,
                decision=self.decision,
                verdict=self.verdict,
                guards=tuple(self.guards),
                bytes_sent=self.bytes_sent,
                bytes_returned=self.bytes_returned,
                answer_sha256=answer_digest(answer),
                approvals=awaiting_approval(answer),
                admission_mode=self.admission_mode,
                chain_uid=recorded.chain_uid if recorded else None,
                seq=recorded.seq if recorded else None,
            )
        )

    def _actual(self) -> Usage:
        """What was used: as the upstream counted it, or else at most, as far as is known how far it came."""
        if self.estimate is None or self.alias is None or not self.model_asked:
            return Usage()
        if self.usage:
            return used(self.estimate, self.alias, self.usage.prompt_tokens, self.usage.completion_tokens)
        if self.answer_bytes is None:
            return self.estimate
        return uncounted(self.estimate, self.alias, self.answer_bytes)

    def _log_usage(self, actual: Usage) -> None:
        """Write the line that the metrics of tokens and spend count."""
        log(
            "INFO",
            "usage.counted",
            trace_id=self.trace_id,
            request_id=self.request_id,
            tenant=self.caller.tenant,
            key_id=self.caller.key_id,
            model=self.model,
            upstream=self.upstream,
            prompt_tokens=actual.prompt_tokens,
            completion_tokens=actual.completion_tokens,
            cost_micros=actual.cost,
            counted_by="guard" if self.usage is None else "upstream",
        )

    def _interaction(self, decision: Decision, error_code: str | None) -> Interaction:
        reservation = self.reservation
        seq, epoch = self._admission()
        return Interaction(
            request_id=self.request_id,
            route=self.route,
            caller=self.caller,
            decision=decision,
            policy_digest=self.services.policy.digest,
            started_at=self.started_at,
            ended_at=self.services.clock.time_ns(),
            prompt=self.prompt,
            answer=self.answer,
            kept_prompt=self.kept_prompt,
            kept_answer=self.kept_answer,
            user=self.user,
            model=self.model,
            upstream=self.upstream,
            upstream_model=self.upstream_model,
            stream=self.stream,
            error_code=error_code,
            finish_reasons=self.finish_reasons,
            prompt_tokens=self.usage.prompt_tokens if self.usage else None,
            completion_tokens=self.usage.completion_tokens if self.usage else None,
            findings=tuple(self.findings),
            guards=tuple(self.guards),
            unscanned_parts=self.unscanned_parts,
            admission_seq=seq,
            admission_epoch=epoch,
            admission_mode=self.admission_mode,
            admission_unknown=self.admission_unknown.costs if self.admission_unknown else (),
            limits_charged=tuple(limit.name for limit in reservation.limits) if reservation else (),
            limit_exceeded=self.limit_exceeded,
            trace_id=self.trace_id,
            started=self.started,
        )

    def _admission(self) -> tuple[int | None, str | None]:
        """The call's admission number, and the numbering that it belongs to."""
        return (self.reservation.seq, self.reservation.epoch) if self.reservation else self.denial


def _decision(error: ApiError) -> Decision:
    if isinstance(error, ContentFiltered):
        return "blocked"
    return "killed" if isinstance(error, CallKilled) else "failed"
