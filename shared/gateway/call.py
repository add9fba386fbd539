"""One authenticated call, as the routes see it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.identity.caller import Caller


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and by which ids the call is known."""

    request_id: str
    caller: Caller
    trace_id: str | None
