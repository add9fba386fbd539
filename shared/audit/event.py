"""The attributes of every event: the one place that knows their names and types.

Names are OpenTelemetry's GenAI conventions where those have one (they are still in development) and
``wardgate.*`` elsewhere. Prompts, answers and end users appear only as HMAC-SHA256; a score is a string
with four decimals, since canonical JSON holds no floats. What is unknown is left out.

The published schemas are made from these types, by ``shared.audit.schema``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from shared.audit.port import Decision

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
PEPPER_VERSION = "wardgate.pepper.version"
PROMPT = "wardgate.prompt.hmac"
ANSWER = "wardgate.answer.hmac"
STARTED_SEQ = "wardgate.started.seq"
"""In an interaction's record: ``seq`` of its ``wardgate.interaction.started`` in the same chain."""

ADMISSION_SEQ = "wardgate.admission.seq"
ADMISSION_EPOCH = "wardgate.admission.epoch"
ACTION = "wardgate.operation.action"
SUBJECT = "wardgate.operation.subject"
OPERATOR = "wardgate.operator.name"
DENIALS_DECISION = "wardgate.denials.decision"
DENIALS_COUNT = "wardgate.denials.count"
DENIALS_FIRST_AT = "wardgate.denials.first_at"
DENIALS_LAST_AT = "wardgate.denials.last_at"
DENIALS_LIMIT = "wardgate.denials.limit"
DENIALS_ERROR = "wardgate.denials.error"
CONTENT_SUBJECT = "wardgate.content.subject"
CONTENT_KEY = "wardgate.content.key"
CONTENT_NONCE = "wardgate.content.nonce"
CONTENT_CIPHERTEXT = "wardgate.content.ciphertext"
CONTENT_CUT = "wardgate.content.cut"
CONTENT_OMITTED = "wardgate.content.omitted"

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, Meta(pattern="^[!-~]*$", max_length=128)]
Hmac = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Time = Annotated[str, Meta(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z$")]

MAX_LIST = 64
"""Findings and guard runs listed in one event; how many there were is always there."""


class FindingAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    """One finding of a guard; never with what was found."""

    guard: Name
    kind: Name
    owasp: Name
    score: Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]{4}$")]
    action: Literal["block", "redact", "mask", "flag"]
    enforced: bool
    span: Annotated[list[Count], Meta(min_length=2, max_length=2)]
    part: Name


class GuardAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    """What one guard did."""

    guard: Name
    direction: Literal["input", "output"]
    status: Literal["ran", "skipped", "failed_open", "failed_closed", "monitor"]
    bytes_seen: Count


class UnknownCharge(Struct, frozen=True, forbid_unknown_fields=True):
    """A charge of which nobody knows whether the store took it."""

    limit: Name
    amount: Count


class Attributes(Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Of any event that is published by a request or an operator."""

    withheld: list[Count] | None = field(default=None, name=WITHHELD)


class OpenAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    """Of ``wardgate.chain.open``."""

    mode: Literal["fail_close", "best_effort"] = field(name=MODE)


class CloseAttributes(Attributes, kw_only=True):
    """Of ``wardgate.chain.close``."""


class CallAttributes(Attributes, kw_only=True):
    """What is known of a call as soon as the model answers."""

    request_id: Name = field(name=REQUEST_ID)
    route: Name = field(name=ROUTE)
    tenant: Name = field(name=TENANT)
    key_id: Name = field(name=KEY_ID)
    key_kind: Literal["api_key", "oidc"] = field(name="wardgate.key.kind")
    policy_digest: Name = field(name="wardgate.policy.digest")
    started_at: Time = field(name="wardgate.started_at")
    stream: bool = field(name="wardgate.stream")
    pepper_version: Count | None = field(default=None, name=PEPPER_VERSION)
    prompt: Hmac | None = field(default=None, name=PROMPT)
    prompt_characters: Count | None = field(default=None, name="wardgate.prompt.characters")
    user: Hmac | None = field(default=None, name=USER)
    operation: Literal["chat"] | None = field(default=None, name="gen_ai.operation.name")
    model: Name | None = field(default=None, name=MODEL)
    admission_seq: Count | None = field(default=None, name=ADMISSION_SEQ)
    admission_epoch: Name | None = field(default=None, name=ADMISSION_EPOCH)
    admission_mode: Name | None = field(default=None, name="wardgate.admission.mode")
    trace_id: Name | None = field(default=None, name="wardgate.trace.id")


class StartedAttributes(CallAttributes, kw_only=True):
    """Of ``wardgate.interaction.started``: written before a streamed answer's first byte."""


class InteractionAttributes(CallAttributes, kw_only=True):
    """Of ``wardgate.interaction``: written before an answer's last byte."""

    decision: Decision = field(name=DECISION)
    duration_us: Count = field(name="wardgate.duration_us")
    findings: list[FindingAttributes] = field(name=FINDINGS)
    findings_count: Count = field(name="wardgate.findings.count")
    guards: list[GuardAttributes] = field(name="wardgate.guards")
    guards_count: Count = field(name="wardgate.guards.count")
    unscanned_parts: Count = field(name="wardgate.unscanned_parts")
    limits_charged: list[Name] = field(name="wardgate.limits.charged")
    limit_exceeded: Name | None = field(default=None, name="wardgate.limits.exceeded")
    admission_unknown: list[UnknownCharge] | None = field(default=None, name="wardgate.admission.unknown")
    answer: Hmac | None = field(default=None, name=ANSWER)
    answer_characters: Count | None = field(default=None, name="wardgate.answer.characters")
    upstream: Name | None = field(default=None, name="wardgate.upstream")
    upstream_model: Name | None = field(default=None, name="gen_ai.response.model")
    finish_reasons: list[Name] | None = field(default=None, name="gen_ai.response.finish_reasons")
    input_tokens: Count | None = field(default=None, name="gen_ai.usage.input_tokens")
    output_tokens: Count | None = field(default=None, name="gen_ai.usage.output_tokens")
    error: Name | None = field(default=None, name=ERROR)
    started_seq: Count | None = field(default=None, name=STARTED_SEQ)
    content_subject: Name | None = field(default=None, name=CONTENT_SUBJECT)
    content_key: Name | None = field(default=None, name=CONTENT_KEY)
    content_nonce: Annotated[str, Meta(max_length=16)] | None = field(default=None, name=CONTENT_NONCE)
    content_ciphertext: Annotated[str, Meta(max_length=180_000)] | None = field(default=None, name=CONTENT_CIPHERTEXT)
    content_cut: bool | None = field(default=None, name=CONTENT_CUT)
    content_omitted: Literal["unavailable"] | None = field(default=None, name=CONTENT_OMITTED)


class OperationAttributes(Attributes, kw_only=True):
    """Of ``wardgate.operation``: what an operator did."""

    action: str = field(name=ACTION)
    subject: str = field(name=SUBJECT)
    operator: Name = field(name=OPERATOR)
    source: Literal["environment", "os_user", "function", "id_token"] = field(name="wardgate.operator.source")
    reason: str | None = field(default=None, name="wardgate.operation.reason")


class DenialsAttributes(Attributes, kw_only=True):
    """Of ``wardgate.denials``: requests that one process turned away by itself, counted."""

    tenant: Name = field(name=TENANT)
    key_id: Name = field(name=KEY_ID)
    decision: Literal["denied", "refused"] = field(name=DENIALS_DECISION)
    count: Annotated[int, Meta(ge=1, le=2**53 - 1)] = field(name=DENIALS_COUNT)
    first_at: Time = field(name=DENIALS_FIRST_AT)
    last_at: Time = field(name=DENIALS_LAST_AT)
    limit: Name | None = field(default=None, name=DENIALS_LIMIT)
    error: Name | None = field(default=None, name=DENIALS_ERROR)
