"""Times as options give them: so long ago or from now, or an RFC 3339 time."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

from shared.clock import SystemClock, utc

_SPAN = re.compile(r"([0-9]{1,9})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_HINT = "give 15m, 6h, 7d or an RFC 3339 time such as 2027-01-31T12:00:00Z"


def past(text: str) -> datetime:
    """An option's time, where ``6h`` means six hours ago. For argparse's ``type``.

    Raises:
        argparse.ArgumentTypeError: The text is no time, or one beyond the calendar.
    """
    return _moment(text, -1)


def future(text: str) -> datetime:
    """As ``past``, where ``6h`` means in six hours."""
    return _moment(text, 1)


def span(text: str) -> timedelta:
    """An option's length of time, such as ``6h``. For argparse's ``type``.

    Raises:
        argparse.ArgumentTypeError: The text is none, or one beyond the calendar.
    """
    try:
        if given := _SPAN.fullmatch(text):
            return int(given[1]) * _UNITS[given[2]]
    except OverflowError:
        pass
    raise argparse.ArgumentTypeError("give 15m, 6h or 7d")


def _moment(text: str, direction: int) -> datetime:
    try:
        if span := _SPAN.fullmatch(text):
            return utc(SystemClock()) + direction * int(span[1]) * _UNITS[span[2]]
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(_HINT) from None
    raise argparse.ArgumentTypeError(f"the time zone is missing; {_HINT}")
