"""The audit event of an interaction: the one place that knows its attributes' names.

Names are OpenTelemetry's GenAI conventions where those have one (they are still in development) and
``wardgate.*`` elsewhere. Prompts, answers and end users appear only as HMAC-SHA256 under keys derived
from the secret ``audit-pepper``, one for each tenant and purpose: equal texts can be recognised within
a tenant, and nowhere else. A score is a string with four decimals.
"""

from __future__ import annotations

import hmac
import re
from typing import Any, Protocol

from shared.audit.port import Interaction, Operation
from shared.audit.record import timestamp
from shared.guards.port import Finding, GuardRun
from shared.stores.secrets import Secret

PEPPER = "audit-pepper"
"""Name of the secret."""

MODE = "wardgate.audit.mode"
PEPPER_VERSION = "wardgate.pepper.version"
WITHHELD = "wardgate.audit.withheld"
"""Earlier ``seq`` of this chain whose answers were withheld, since their events were acknowledged too late."""

REQUEST_ID = "wardgate.request.id"
TENANT = "wardgate.tenant"
KEY_ID = "wardgate.key.id"
DECISION = "wardgate.decision"
FINDINGS = "wardgate.findings"
ROUTE = "wardgate.route"
MODEL = "gen_ai.request.model"
ERROR = "error.type"
USER = "wardgate.user.hmac"
ACTION = "wardgate.operation.action"
SUBJECT = "wardgate.operation.subject"
OPERATOR = "wardgate.operator.name"

_MAX_LIST = 64
"""Findings and guard runs listed in one event; how many there were is always there."""

_MAX_NAME = 128
_NOT_PLAIN = re.compile(r"[^\x21-\x7e]")


class Pepper(Protocol):
    """One version of the secret ``audit-pepper``."""

    @property
    def number(self) -> int: ...

    @property
    def secret(self) -> Secret: ...


def attributes_of(interaction: Interaction, pepper: Pepper | None) -> dict[str, Any]:
    """What the trail keeps of an interaction; what is unknown is left out.

    Args:
        interaction: With texts in clear.
        pepper: Keys the hashes; without one there are none, only lengths.
    """
    it = interaction
    caller = it.caller
    user = it.user if it.user is not None else caller.user

    def keyed(purpose: str, text: str | None) -> str | None:
        return None if pepper is None or text is None else keyed_hash(pepper.secret, caller.tenant, purpose, text)

    known: dict[str, Any] = {
        REQUEST_ID: _plain(it.request_id),
        ROUTE: _plain(it.route),
        TENANT: _plain(caller.tenant),
        KEY_ID: _plain(caller.key_id),
        "wardgate.key.kind": caller.kind,
        DECISION: it.decision,
        "wardgate.policy.digest": it.policy_digest,
        "wardgate.started_at": timestamp(it.started_at),
        "wardgate.duration_us": max(0, it.ended_at - it.started_at) // 1000,
        "wardgate.stream": it.stream,
        PEPPER_VERSION: pepper.number if pepper else None,
        "wardgate.prompt.hmac": keyed("prompt", it.prompt),
        "wardgate.prompt.characters": _length(it.prompt),
        "wardgate.answer.hmac": keyed("answer", it.answer),
        "wardgate.answer.characters": _length(it.answer),
        USER: keyed("user", user),
        "gen_ai.operation.name": "chat" if "chat" in it.route else None,
        MODEL: _plain(it.model),
        "gen_ai.response.model": _plain(it.upstream_model),
        "gen_ai.response.finish_reasons": [_plain(reason) for reason in it.finish_reasons[:_MAX_LIST]] or None,
        "gen_ai.usage.input_tokens": it.prompt_tokens,
        "gen_ai.usage.output_tokens": it.completion_tokens,
        ERROR: _plain(it.error_code),
        "wardgate.upstream": _plain(it.upstream),
        FINDINGS: [_finding(finding) for finding in it.findings[:_MAX_LIST]],
        "wardgate.findings.count": len(it.findings),
        "wardgate.guards": [_guard_run(run) for run in it.guards[:_MAX_LIST]],
        "wardgate.guards.count": len(it.guards),
        "wardgate.unscanned_parts": it.unscanned_parts,
        "wardgate.admission.seq": it.admission_seq,
        "wardgate.admission.epoch": it.admission_epoch,
        "wardgate.admission.mode": it.admission_mode,
        "wardgate.admission.unknown": [{"limit": name, "amount": amount} for name, amount in it.admission_unknown]
        or None,
        "wardgate.limits.charged": list(it.limits_charged),
        "wardgate.limits.exceeded": it.limit_exceeded,
        "wardgate.trace.id": it.trace_id,
    }
    return {name: value for name, value in known.items() if value is not None}


def attributes_of_operation(operation: Operation) -> dict[str, Any]:
    """What the trail keeps of an operation; what is unknown is left out."""
    known = {
        ACTION: operation.action,
        SUBJECT: operation.subject,
        "wardgate.operation.reason": operation.reason,
        OPERATOR: _plain(operation.operator.name),
        "wardgate.operator.source": operation.operator.source,
    }
    return {name: value for name, value in known.items() if value is not None}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "guard": _plain(finding.guard),
        "kind": _plain(finding.kind),
        "owasp": _plain(finding.owasp),
        "score": f"{finding.score:.4f}",
        "action": finding.action,
        "enforced": finding.enforced,
        "span": list(finding.span),
        "part": _plain(finding.part),
    }


def _guard_run(run: GuardRun) -> dict[str, Any]:
    return {
        "guard": _plain(run.guard),
        "direction": run.direction,
        "status": run.status,
        "bytes_seen": run.bytes_seen,
    }


def keyed_hash(pepper: Secret, tenant: str, purpose: str, text: str) -> str:
    """HMAC under a key for this tenant and purpose, itself an HMAC under the pepper."""
    key = hmac.digest(pepper.reveal(), f"wardgate/audit/1\0{purpose}\0{tenant}".encode(), "sha256")
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)


def _plain(text: str | None) -> str | None:
    """A name as visible ASCII of bounded length: names from outside must not carry text into the trail."""
    if text is None:
        return None
    return _NOT_PLAIN.sub("_", text[:_MAX_NAME])
