"""From what the gateway tells to the attributes of an event: texts become keyed hashes, names become plain.

Hashes are HMAC-SHA256 under keys derived from the secret ``audit-pepper``, one for each tenant and purpose:
equal texts can be recognised within a tenant, and nowhere else.
"""

from __future__ import annotations

import hmac
import re
from functools import lru_cache
from typing import Any, Protocol

from shared.audit.event import (
    MAX_LIST,
    DenialsAttributes,
    FindingAttributes,
    GuardAttributes,
    InteractionAttributes,
    OperationAttributes,
    StartedAttributes,
    UnknownCharge,
)
from shared.audit.port import Interaction, Operation, Started
from shared.audit.record import MAX_SEQ, timestamp
from shared.audit.tally import Counted
from shared.guards.port import Finding, GuardRun
from shared.stores.secrets import Secret

_MAX_NAME = 128
_NOT_PLAIN = re.compile(r"[^\x21-\x7e]")


class Pepper(Protocol):
    """One version of the secret ``audit-pepper``."""

    @property
    def number(self) -> int: ...

    @property
    def secret(self) -> Secret: ...


def attributes_of(interaction: Interaction, pepper: Pepper | None) -> InteractionAttributes:
    """What the trail keeps of an interaction.

    Args:
        interaction: With texts in clear.
        pepper: Keys the hashes; without one there are none, only lengths.
    """
    it = interaction
    return InteractionAttributes(
        **_of_call(it, pepper),
        decision=it.decision,
        duration_us=max(0, it.ended_at - it.started_at) // 1000,
        answer=_keyed(pepper, it.caller.tenant, "answer", it.answer),
        answer_characters=_length(it.answer),
        upstream=plain(it.upstream),
        upstream_model=plain(it.upstream_model),
        finish_reasons=[plain(reason) for reason in it.finish_reasons[:MAX_LIST]] or None,
        input_tokens=_bounded(it.prompt_tokens),
        output_tokens=_bounded(it.completion_tokens),
        error=plain(it.error_code),
        findings=[_finding(finding) for finding in it.findings[:MAX_LIST]],
        findings_count=len(it.findings),
        guards=[_guard_run(run) for run in it.guards[:MAX_LIST]],
        guards_count=len(it.guards),
        unscanned_parts=it.unscanned_parts,
        admission_unknown=[UnknownCharge(name, amount) for name, amount in it.admission_unknown] or None,
        limits_charged=list(it.limits_charged),
        limit_exceeded=it.limit_exceeded,
    )


def attributes_of_start(started: Started, pepper: Pepper | None) -> StartedAttributes:
    """What the trail keeps of a streamed answer that begins; arguments as above."""
    return StartedAttributes(**_of_call(started, pepper))


def attributes_of_operation(operation: Operation) -> OperationAttributes:
    """What the trail keeps of an operation."""
    return OperationAttributes(
        action=operation.action,
        subject=operation.subject,
        operator=plain(operation.operator.name) or "",
        source=operation.operator.source,
        reason=operation.reason,
    )


def attributes_of_counted(counted: Counted) -> DenialsAttributes:
    """What the trail keeps of requests that were turned away."""
    request = counted.request
    return DenialsAttributes(
        tenant=plain(request.tenant),
        key_id=plain(request.key_id),
        decision=request.decision,
        count=counted.count,
        first_at=timestamp(counted.first_at),
        last_at=timestamp(counted.last_at),
        limit=plain(request.limit),
        error=plain(request.error),
    )


def plain(text: str | None) -> Any:
    """A name as visible ASCII of bounded length: names from outside must not carry text into the trail."""
    if text is None:
        return None
    if len(text) <= _MAX_NAME and text.isascii() and text.isprintable() and " " not in text:
        return text
    return _NOT_PLAIN.sub("_", text[:_MAX_NAME])


def _of_call(it: Interaction | Started, pepper: Pepper | None) -> dict[str, Any]:
    caller = it.caller
    return {
        "request_id": plain(it.request_id),
        "route": plain(it.route),
        "tenant": plain(caller.tenant),
        "key_id": plain(caller.key_id),
        "key_kind": caller.kind,
        "policy_digest": it.policy_digest,
        "started_at": timestamp(it.started_at),
        "stream": it.stream,
        "pepper_version": pepper.number if pepper else None,
        "prompt": _keyed(pepper, caller.tenant, "prompt", it.prompt),
        "prompt_characters": _length(it.prompt),
        "user": _keyed(pepper, caller.tenant, "user", it.user if it.user is not None else caller.user),
        "operation": "chat" if "chat" in it.route else None,
        "model": plain(it.model),
        "admission_seq": it.admission_seq,
        "admission_epoch": it.admission_epoch,
        "admission_mode": it.admission_mode,
        "trace_id": it.trace_id,
    }


def _finding(finding: Finding) -> FindingAttributes:
    return FindingAttributes(
        guard=plain(finding.guard),
        kind=plain(finding.kind),
        owasp=plain(finding.owasp),
        score=f"{finding.score:.4f}",
        action=finding.action,
        enforced=finding.enforced,
        span=list(finding.span),
        part=plain(finding.part),
    )


def _guard_run(run: GuardRun) -> GuardAttributes:
    return GuardAttributes(plain(run.guard), run.direction, run.status, run.bytes_seen)


def _keyed(pepper: Pepper | None, tenant: str, purpose: str, text: str | None) -> str | None:
    return None if pepper is None or text is None else keyed_hash(pepper.secret, tenant, purpose, text)


def keyed_hash(pepper: Secret, tenant: str, purpose: str, text: str) -> str:
    """HMAC under a key for this tenant and purpose: equal texts are recognised within a tenant, and nowhere else."""
    key = _derived_key(pepper.reveal(), tenant, purpose)
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


@lru_cache(maxsize=1024)
def _derived_key(pepper: bytes, tenant: str, purpose: str) -> bytes:
    """The key for this tenant and purpose, itself an HMAC under the pepper."""
    return hmac.digest(pepper, f"wardgate/audit/1\0{purpose}\0{tenant}".encode(), "sha256")


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)


def _bounded(count: int | None) -> int | None:
    """An upstream's own count, which may be anything, as a record can hold it."""
    return None if count is None else min(max(count, 0), MAX_SEQ)
