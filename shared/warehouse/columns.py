"""The columns of the warehouse's table: the one place that names them, their types and where each comes from.

An event is one row with ``finding`` 0, and one more for each of its findings, numbered from 1. Rows of
findings repeat the event's own columns up to ``decision``, so that no question needs a join. All rows
of an event are written at once, and (``chain_uid``, ``seq``, ``finding``) names each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["STRING", "INTEGER", "FLOAT", "BOOLEAN", "DATE", "TIMESTAMP"]
"""BigQuery's names."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    type: Type
    description: str
    attribute: str | None = None
    """The event's attribute that it holds, or that of a finding; None: made by ``shared.warehouse.rows``."""

    required: bool = False


PLACE = (
    Column("day", "DATE", "Day of the event in UTC; the table's partitions.", required=True),
    Column("time", "TIMESTAMP", "When the event was written.", required=True),
    Column("chain_uid", "STRING", "The writer's hash chain.", required=True),
    Column("seq", "INTEGER", "Place in the chain.", required=True),
    Column("finding", "INTEGER", "0: the event itself; from 1 on: one of its findings.", required=True),
)
"""Where a row stands, in every row."""

COMMON = (
    Column("type", "STRING", "Kind of the event, such as wardgate.interaction.", required=True),
    Column("source", "STRING", "The function that wrote it.", required=True),
    Column("fingerprint", "STRING", "SHA-256 of the event, as in the archive.", required=True),
    Column("request_id", "STRING", "The request's id.", "wardgate.request.id"),
    Column("route", "STRING", "Path of the request.", "wardgate.route"),
    Column("tenant", "STRING", "Tenant of the caller.", "wardgate.tenant"),
    Column("key_id", "STRING", "Credential of the caller.", "wardgate.key.id"),
    Column("key_kind", "STRING", "api_key or oidc.", "wardgate.key.kind"),
    Column("user_hmac", "STRING", "The verified end user, as a keyed hash.", "wardgate.user.hmac"),
    Column("model", "STRING", "Alias that was asked for.", "gen_ai.request.model"),
    Column("decision", "STRING", "How it ended, such as answered, blocked or denied.", "wardgate.decision"),
)
"""What rows of findings repeat of their event."""

EVENT = (
    Column("error", "STRING", "Code of the error, if one was answered.", "error.type"),
    Column("stream", "BOOLEAN", "Whether the answer was streamed.", "wardgate.stream"),
    Column("duration_us", "INTEGER", "From request to answer, in microseconds.", "wardgate.duration_us"),
    Column("upstream", "STRING", "The upstream that answered.", "wardgate.upstream"),
    Column("upstream_model", "STRING", "The upstream's own name of the model.", "gen_ai.response.model"),
    Column("input_tokens", "INTEGER", "Tokens of the prompt, as the upstream counted.", "gen_ai.usage.input_tokens"),
    Column("output_tokens", "INTEGER", "Tokens of the answer, as the upstream counted.", "gen_ai.usage.output_tokens"),
    Column("cost", "INTEGER", "Millionths of the policy's currency; empty where the model has no price."),
    Column("prompt_characters", "INTEGER", "Length of the prompt.", "wardgate.prompt.characters"),
    Column("answer_characters", "INTEGER", "Length of the answer.", "wardgate.answer.characters"),
    Column("prompt_hmac", "STRING", "The prompt, as a keyed hash.", "wardgate.prompt.hmac"),
    Column("answer_hmac", "STRING", "The answer, as a keyed hash.", "wardgate.answer.hmac"),
    Column("pepper_version", "INTEGER", "Version of the hashes' key.", "wardgate.pepper.version"),
    Column("findings", "INTEGER", "How many findings there were.", "wardgate.findings.count"),
    Column("unscanned_parts", "INTEGER", "Parts that no guard could read.", "wardgate.unscanned_parts"),
    Column("policy_digest", "STRING", "The policy that was in force.", "wardgate.policy.digest"),
    Column("admission_seq", "INTEGER", "Number of the admission.", "wardgate.admission.seq"),
    Column("admission_epoch", "STRING", "Numbering that it belongs to.", "wardgate.admission.epoch"),
    Column("admission_mode", "STRING", "How it was admitted.", "wardgate.admission.mode"),
    Column("limit_exceeded", "STRING", "The limit that was used up.", "wardgate.limits.exceeded"),
    Column("trace_id", "STRING", "W3C trace id.", "wardgate.trace.id"),
    Column("denials", "INTEGER", "Denials that one event counts.", "wardgate.denials.count"),
    Column("denials_decision", "STRING", "How they ended.", "wardgate.denials.decision"),
    Column("denials_limit", "STRING", "The limit that was used up.", "wardgate.denials.limit"),
    Column("denials_error", "STRING", "Code of their error.", "wardgate.denials.error"),
    Column("denials_first_at", "TIMESTAMP", "The first of them.", "wardgate.denials.first_at"),
    Column("denials_last_at", "TIMESTAMP", "The last of them.", "wardgate.denials.last_at"),
    Column("operation", "STRING", "What an operator did, such as kill.on.", "wardgate.operation.action"),
    Column("operation_subject", "STRING", "What it was done to.", "wardgate.operation.subject"),
    Column("operator", "STRING", "Who did it.", "wardgate.operator.name"),
)
"""What only the event's own row holds."""

FINDING = (
    Column("guard", "STRING", "The guard that found it.", "guard"),
    Column("kind", "STRING", "What was found.", "kind"),
    Column("owasp", "STRING", "Its number in the OWASP lists.", "owasp"),
    Column("score", "FLOAT", "How sure the guard is, from 0 to 1.", "score"),
    Column("action", "STRING", "What the policy does about it: block, redact or flag.", "action"),
    Column("enforced", "BOOLEAN", "Whether that was done.", "enforced"),
    Column("part", "STRING", "Where it was found, such as messages[0].content.", "part"),
)
"""What only the rows of findings hold."""

COLUMNS = (*PLACE, *COMMON, *EVENT, *FINDING)
EVENT_COLUMNS = tuple(column for column in (*PLACE, *COMMON, *EVENT) if column.name != "finding")
FINDING_COLUMNS = (*PLACE, *COMMON, *FINDING)
