"""The wire types of ``POST /v1/scan``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.guards.port import Action, Channel, Direction, RunStatus, Verdict
from shared.models.wire import MAX_MESSAGES, Message, Strict


class ScanRequest(Strict):
    """The body of ``POST /v1/scan``: either one text or the messages of a chat."""

    text: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=MAX_MESSAGES)] | None = None
    direction: Direction = "input"
    channel: Channel = "user"
    """Where ``text`` comes from; messages carry their own."""


class ScanFinding(Struct):
    """One finding. Never holds the text itself."""

    guard: str
    kind: str
    owasp: str
    span: tuple[int, int]
    """Half-open character range in the text that was sent."""

    score: float
    action: Action
    enforced: bool
    part: str


class ScanGuard(Struct):
    """What one guard did."""

    name: str
    status: RunStatus
    bytes_seen: int


class ScanResult(Struct):
    """The verdict on what was sent."""

    id: str
    verdict: Verdict
    score: float
    findings: list[ScanFinding]
    guards: list[ScanGuard]
    object: Literal["wardgate.scan"] = "wardgate.scan"
