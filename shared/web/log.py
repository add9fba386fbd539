"""Structured log lines as Cloud Logging reads them: one JSON object a line, never with a prompt or a key.

Log through ``log(severity, event, **fields)``. There is no free-text message, so nothing that came
from a caller can end up in one by accident.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Literal

import msgspec

Severity = Literal["INFO", "WARNING", "ERROR"]

_encode = msgspec.json.Encoder().encode
_TRACE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")


def log(severity: Severity, event: str, *, trace_id: str | None = None, **fields: str | int | float | None) -> None:
    """Write one line.

    Args:
        severity: Cloud Logging's severity.
        event: What happened, as a stable dotted name such as ``request.finished``.
        trace_id: The W3C trace id, to join the line with the request's trace.
        **fields: Names, numbers and codes. Never text from a caller, a model or a secret.
    """
    line: dict[str, object] = {"severity": severity, "event": event, **fields}
    if trace_id and (project := os.environ.get("GOOGLE_CLOUD_PROJECT")):
        line["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace_id}"
    # One write a line, so that threads do not cut into each other's; without `logging`, which costs ten times that.
    sys.stderr.write(_encode(line).decode() + "\n")


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a W3C ``traceparent`` header, or None where there is none or it is malformed."""
    match = _TRACE.match(traceparent or "")
    return match[1] if match and match[1] != "0" * 32 else None
