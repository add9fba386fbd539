"""Takes what was found out of a text, through the map of its canonical view: cut, or masked by a placeholder."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from shared.guards.masking import Masks
from shared.guards.parts import Form, Part
from shared.guards.port import Finding
from shared.text.canonical import Text
from shared.text.json_text import string_values

MARK = "[FILTERED]"

SENSITIVE_GUARDS = frozenset({"secrets", "pii"})
"""Guards whose findings are not to be told to anybody, also not to the trail."""

Span = tuple[int, int]


class Cut(msgspec.Struct, frozen=True):
    """A span that does not go on, and what stands in its place."""

    start: int
    end: int
    replacement: str = MARK


class Rewritten(msgspec.Struct, frozen=True):
    """A text without what was taken out of it."""

    text: str
    added: int
    """Bytes in UTF-8 of what stands in its place."""


def rewrite(
    text: Text, form: Form, findings: Iterable[Finding], masks: Masks | None, *, returns: bool = True
) -> Rewritten:
    """The canonical text without what enforced findings take out.

    Where findings overlap, they become one: with the mark alone, since a replacement could show what another takes
    out, or with one placeholder if all of them mask.

    Args:
        findings: All that was found in the text.
        masks: Takes what is masked; None: that is cut.
        returns: Whether who wrote the text may have back what is masked in it.
    """
    view = text.canonical
    cuts = []
    for start, end, of in _clusters(text, (f for f in findings if f.enforced and f.action in ("redact", "mask"))):
        instead = MARK
        if masks is not None and all(finding.action == "mask" for finding in of):
            longest = max(of, key=lambda finding: finding.span[1] - finding.span[0])
            value = view.text[start:end]
            value = _unescaped(value) if form == "json" else value
            instead = masks.placeholder(longest.kind, value, returns=returns)
        elif of[0].replacement is not None and len({(finding.span, finding.replacement) for finding in of}) == 1:
            instead = of[0].replacement
        cuts.append(Cut(start, end, instead))
    return _rewritten(view.text, cuts)


def without_secrets(text: Text, findings: Iterable[Finding]) -> str:
    """The canonical text with the names of their kinds in place of secrets and personal data on which a guard acted."""
    acted = (f for f in findings if f.guard in SENSITIVE_GUARDS and f.enforced and f.action != "flag")
    cuts = [Cut(start, end, f"[{of[0].kind.upper()}]") for start, end, of in _clusters(text, acted)]
    return _rewritten(text.canonical.text, cuts).text


def _clusters(text: Text, findings: Iterable[Finding]) -> list[tuple[int, int, list[Finding]]]:
    """Findings that overlap in the canonical text, together, with the range there that they cover.

    Those of which nothing is there, since all of it is taken out anyway, are left out.
    """
    placed = sorted(((text.canonical.locate(*finding.span), finding) for finding in findings), key=lambda each: each[0])
    clusters: list[tuple[int, int, list[Finding]]] = []
    for (start, end), finding in placed:
        if start == end:
            continue
        if clusters and start < clusters[-1][1]:
            first, last, within = clusters[-1]
            within.append(finding)
            clusters[-1] = (first, max(last, end), within)
        else:
            clusters.append((start, end, [finding]))
    return clusters


def _rewritten(text: str, cuts: Iterable[Cut]) -> Rewritten:
    pieces: list[str] = []
    at = added = 0
    for cut in cuts:
        pieces += (text[at : cut.start], cut.replacement)
        added += len(cut.replacement.encode())
        at = cut.end
    pieces.append(text[at:])
    return Rewritten("".join(pieces), added)


def _unescaped(text: str) -> str:
    """What stands between the quotes of a string in JSON; as it stands where that is none."""
    try:
        return msgspec.json.decode(f'"{text}"', type=str)
    except msgspec.DecodeError:
        return text


def settled(part: Part, findings: Sequence[Finding]) -> list[Finding]:
    """The findings in ``part``, where a redaction that would break it has become a block.

    A name is referred to from elsewhere, and JSON can be cut inside its string values only.
    """
    values: list[Span] | None = None
    result = []
    for finding in findings:
        if finding.action in ("redact", "mask") and part.form != "prose":
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
