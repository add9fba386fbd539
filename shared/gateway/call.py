"""One authenticated call, as the routes see it."""

from __future__ import annotations

from msgspec import Struct

from shared.identity.caller import Caller


class Call(Struct):
    """Who calls, and by which ids the call is known."""

    request_id: str
    caller: Caller
    trace_id: str | None
    recorded: bool = False
    """Whether the trail has been told of it, by an event of its own or as one of many."""
