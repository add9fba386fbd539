"""What an answer says of the limits: the IETF's fields, OpenAI's, and ``Retry-After``.

``RateLimit`` and ``RateLimit-Policy`` follow draft-ietf-httpapi-ratelimit-headers-11 (May 2026; unchanged
in syntax since -08): lists of Strings with parameters, ``q`` quota, ``w`` window in seconds, ``r``
remaining, ``t`` seconds within which no more than that can be used, and the quota unit ``qu`` where it is
not requests. OpenAI's ``x-ratelimit-reset-…`` is the time until the limit is whole again, not until the next
request fits (platform.openai.com/docs/guides/rate-limits).
"""

from __future__ import annotations

import math

from shared.admission.port import LimitState

_PATIENCE_SECONDS = 60
"""SDKs that are told to wait longer than this give up anyway; they are told not to try."""

_UNITS = {"tokens": "tokens", "concurrency": "concurrent-requests", "cost": "cost-micros"}
"""``concurrent-requests`` is of the draft's own registry; the others are Wardgate's."""


def rate_limit_headers(limits: tuple[LimitState, ...], retry_after: float | None = None) -> dict[str, str]:
    """Header fields, with lower-case names.

    Args:
        limits: Every limit that was looked at; may be empty.
        retry_after: Of a denial: seconds until the request would be let in.
    """
    headers: dict[str, str] = {}
    if limits:
        headers["ratelimit-policy"] = ", ".join(map(_policy, limits))
        headers["ratelimit"] = ", ".join(
            f'"{s.name}";r={s.remaining};t={math.ceil(s.more_seconds)}'
            if s.more_seconds
            else f'"{s.name}";r={s.remaining}'
            for s in limits
        )
    for kind in ("requests", "tokens"):
        if states := [state for state in limits if state.kind == kind]:
            tightest = min(states, key=lambda state: (state.remaining, -state.reset_seconds))
            headers[f"x-ratelimit-limit-{kind}"] = str(tightest.amount)
            headers[f"x-ratelimit-remaining-{kind}"] = str(tightest.remaining)
            headers[f"x-ratelimit-reset-{kind}"] = duration(tightest.reset_seconds)
    if retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after)))
        if retry_after > _PATIENCE_SECONDS:
            headers["x-should-retry"] = "false"
    return headers


def _policy(state: LimitState) -> str:
    unit = f';qu="{_UNITS[state.kind]}"' if state.kind in _UNITS else ""
    within = f";w={state.window_seconds}" if state.window_seconds else ""
    return f'"{state.name}";q={state.amount}{unit}{within}'


def duration(seconds: float) -> str:
    """A duration as OpenAI writes it, such as ``6m0s``, ``8.64s`` or ``20ms``; rounded up to a millisecond."""
    milliseconds = max(0, math.ceil(seconds * 1000 - 1e-6))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(milliseconds, 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0") + "s" if fraction else f"{whole}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
