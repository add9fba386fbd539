"""Cuts what was found out of a text, through the map of its canonical view."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.guards.parts import Part
from shared.guards.port import Finding
from shared.text.canonical import Text
from shared.text.json_text import string_values

MARK = "[FILTERED]"

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, overlapping ones as one; spans that merely touch stay apart."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def redact(text: Text, spans: Iterable[Span]) -> str:
    """The canonical text with each span of the original replaced by ``[FILTERED]``."""
    view = text.canonical
    pieces: list[str] = []
    at = 0
    for start, end in merged(view.locate(*span) for span in spans):
        pieces += (view.text[at:start], MARK)
        at = end
    pieces.append(view.text[at:])
    return "".join(pieces)


def settled(part: Part, findings: Sequence[Finding]) -> list[Finding]:
    """The findings in ``part``, where a redaction that would break it has become a block.

    A name is referred to from elsewhere, and JSON can be cut inside its string values only.
    """
    values: list[Span] | None = None
    result = []
    for finding in findings:
        if finding.action == "redact" and part.form != "prose":
            if values is None:
                values = list(string_values(part.text)) if part.form == "json" else []
            if not _within(values, finding.span):
                finding = replace(finding, action="block")
        result.append(finding.at(part.path))
    return result


def _within(ranges: Sequence[Span], span: Span) -> bool:
    """Whether one of the ranges, which are in order and apart, holds the span."""
    index = bisect_right(ranges, span[0], key=lambda each: each[0]) - 1
    return index >= 0 and span[1] <= ranges[index][1]
