"""Charges a call's limits, and records the denial where there is one."""

from __future__ import annotations

from shared.admission.headers import rate_limit_headers
from shared.admission.port import LimitExceeded, Usage
from shared.gateway.exchange import Exchange


def admit(exchange: Exchange, estimate: Usage) -> dict[str, str]:
    """Reserve every limit for the exchange and return the headers that tell how they stand.

    Raises:
        LimitExceeded: A limit is used up; the denial is recorded unless this process repeats an earlier one.
        ServiceUnavailable: The limits cannot be read, or the denial cannot be recorded.
    """
    try:
        exchange.reservation = exchange.services.admission.reserve(exchange.caller, exchange.model or "", estimate)
    except LimitExceeded as denial:
        exchange.limit_exceeded = denial.exceeded.name
        exchange.denial = (denial.seq, denial.epoch)
        if denial.seq is not None:
            exchange.end("denied", denial.code)
        raise
    return rate_limit_headers(exchange.reservation.limits)
