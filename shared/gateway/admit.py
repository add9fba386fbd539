"""Charges a call's limits, and records the denial where there is one."""

from __future__ import annotations

from shared.admission.headers import rate_limit_headers
from shared.admission.port import AdmissionUnavailable, LargerThanLimit, LimitExceeded, Usage
from shared.gateway.exchange import Exchange


def admit(exchange: Exchange, estimate: Usage) -> dict[str, str]:
    """Reserve every limit for the exchange and return the headers that tell how they stand.

    A denial that repeats an earlier one is counted, not recorded by itself: whoever attacks must not fill the trail.

    Raises:
        LimitExceeded: A limit is used up; the denial is recorded unless this process repeats an earlier one.
        LargerThanLimit: The request alone is more than a limit grants.
        ServiceUnavailable: The limits cannot be read, or the denial cannot be recorded.
    """
    try:
        exchange.reservation = exchange.services.admission.reserve(exchange.caller, exchange.model or "", estimate)
    except LimitExceeded as denial:
        exchange.limit_exceeded = denial.exceeded.name
        exchange.denial = (denial.seq, denial.epoch)
        if denial.seq is None and denial.mode == "normal":
            exchange.turned_away(denial.exceeded.name)
        else:
            exchange.admission_mode, exchange.admission_unknown = denial.mode, denial.unknown
            exchange.end("denied", denial.code)
        raise
    except LargerThanLimit as denial:
        exchange.turned_away(denial.limit)
        raise
    except AdmissionUnavailable as error:
        exchange.admission_mode, exchange.admission_unknown = "closed", error.unknown
        exchange.fail(error)
        raise
    exchange.admission_mode = exchange.reservation.mode
    exchange.admission_unknown = exchange.reservation.unknown
    return rate_limit_headers(exchange.reservation.limits)
