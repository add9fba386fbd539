"""Cuts what was found out of a text, through the map of its canonical view."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from msgspec import Struct

from shared.guards.parts import Part
from shared.guards.port import Finding
from shared.text.canonical import Text
from shared.text.json_text import string_values

MARK = "[FILTERED]"

Span = tuple[int, int]


class Cut(Struct, frozen=True):
    """A span that does not go on, and what stands in its place."""

    start: int
    end: int
    replacement: str = MARK


def cuts_of(findings: Iterable[Finding]) -> list[Cut]:
    """The cuts that findings demand."""
    return [
        Cut(*finding.span, MARK if finding.replacement is None else finding.replacement)
        for finding in findings
        if finding.enforced and finding.action == "redact"
    ]


def merged(cuts: Iterable[Cut]) -> list[Cut]:
    """The cuts in order, overlapping ones as one with the mark alone; cuts that merely touch stay apart."""
    result: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start, cut.end)):
        if result and cut.start < result[-1].end:
            same = (cut.start, cut.end, cut.replacement) == (result[-1].start, result[-1].end, result[-1].replacement)
            result[-1] = result[-1] if same else Cut(result[-1].start, max(result[-1].end, cut.end))
        else:
            result.append(cut)
    return result


def redact(text: Text, cuts: Iterable[Cut]) -> str:
    """The canonical text with each cut's span of the original replaced."""
    view = text.canonical
    pieces: list[str] = []
    at = 0
    located = (Cut(*view.locate(cut.start, cut.end), cut.replacement) for cut in cuts)
    for cut in merged(cut for cut in located if cut.end > cut.start):  # else all of it is taken out anyway
        pieces += (view.text[at : cut.start], cut.replacement)
        at = cut.end
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
