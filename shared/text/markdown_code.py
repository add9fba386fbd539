"""What in a Markdown text is surely code, so that links and markup in it are neither followed nor run.

Renderers of Markdown differ, so this errs on one side: a span is code only where CommonMark and GFM leave
no doubt. What begins to be doubtful stays so, for code spans until the next blank line, for fenced blocks
until the end: HTML blocks, fences within lists and quotes, and extensions have rules of their own about
where a block ends. The reading goes from left to right, line by line, so a window that begins with a line
is read as the whole text is, once it is told what was open there.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

MOST_CODE_SPAN = 256
"""Longest code span in characters; how far a look ahead may have to go."""

MOST_LINE = 4096
"""What of a line is read; what comes after is in doubt, so that no window need be longer."""

_DOUBTFUL_OUTSIDE = re.compile(r"[<\[\]\\|$]")
"""Outside of code spans, what may bind more tightly than a backtick, or split the line that it is in."""

_CONTAINER = re.compile(r"[ \t>*+\-0-9.)]*")
_HTML = re.compile(r"<[A-Za-z/!?]")
_EXTENSION = ("~~~", "$$", ":::", "---", "+++")


class Blocks(Struct, frozen=True):
    """What is open where a line begins."""

    fence: int = 0
    """How many backticks opened the fenced block that is open; 0 where none is."""

    indent: int = 0
    """By how many blanks that fence is set in."""

    spans_sure: bool = True
    """Whether code spans of this paragraph can be told."""

    blocks_sure: bool = True
    """Whether code can be told at all."""


START = Blocks()
IN_DOUBT = Blocks(spans_sure=False, blocks_sure=False)


class Code(Struct, frozen=True):
    """The code in a text."""

    ranges: Sequence[tuple[int, int]]
    """In order and apart."""

    after: Blocks
    """What is open behind the last line that is complete."""

    def holds(self, at: int) -> bool:
        """Whether the character at ``at`` is code."""
        index = bisect_right(self.ranges, at, key=lambda each: each[0]) - 1
        return index >= 0 and at < self.ranges[index][1]


def code_in(text: str, before: Blocks | None = None) -> Code:
    """The code in ``text``, which begins with a line, where ``before`` was open, or nothing. Linear in the text."""
    before = before or START
    if not before.blocks_sure:
        return Code((), before)
    ranges: list[tuple[int, int]] = []
    state, after, at = before, before, 0
    for line in io.StringIO(text, newline="\n"):
        state = _line(line[:MOST_LINE], at, state, ranges)
        if len(line) > MOST_LINE:
            state = IN_DOUBT
        at += len(line)
        if line.endswith("\n"):
            after = state
        if not state.blocks_sure:
            break
    return Code(ranges, after)


def _line(line: str, at: int, state: Blocks, ranges: list[tuple[int, int]]) -> Blocks:
    """Read one line; adds its code to ``ranges``, answers what is open after it."""
    body = line.lstrip(" \t")
    indent = 4 if "\t" in line[: len(line) - len(body)] else len(line) - len(body)
    if not body.strip():
        return state if state.fence else replace(state, spans_sure=True)
    if state.fence:
        return _fenced(line, body, indent, at, state, ranges)
    inner = _CONTAINER.sub("", line, count=1)
    if body.startswith(_EXTENSION) or inner.startswith(_EXTENSION) or _HTML.match(inner):
        return IN_DOUBT
    if inner.startswith("```"):
        run = _run(inner, 0)
        if "`" in inner[run:]:
            return replace(state, spans_sure=False)
        return Blocks(run, indent) if inner == body and indent <= 3 else IN_DOUBT
    return replace(state, spans_sure=_spans(line, at, ranges)) if state.spans_sure else state


def _fenced(line: str, body: str, indent: int, at: int, state: Blocks, ranges: list[tuple[int, int]]) -> Blocks:
    if indent < state.indent:
        return IN_DOUBT  # the fence may have been a list item's, and both are over
    run = _run(body, 0)
    if run >= state.fence and not body[run:].strip():
        if indent <= 3:
            return START
        if state.indent:
            return IN_DOUBT
    ranges.append((at, at + len(line)))
    return state


def _spans(line: str, at: int, ranges: list[tuple[int, int]]) -> bool:
    """Add the code spans of a line to ``ranges``; whether they, and those to come, can be told."""
    position = 0
    while (opening := line.find("`", position)) != -1:
        if _DOUBTFUL_OUTSIDE.search(line, position, opening):
            return False
        run = _run(line, opening)
        closing = _closing(line, opening + run, run)
        if closing == -1 or "|" in line[opening:closing]:
            return False
        position = closing + run
        ranges.append((at + opening, at + position))
    return _DOUBTFUL_OUTSIDE.search(line, position) is None


def _closing(line: str, at: int, run: int) -> int:
    """Where a run of exactly so many backticks begins, near enough; or -1."""
    end = min(len(line), at + MOST_CODE_SPAN)
    while (found := line.find("`", at, end)) != -1:
        length = _run(line, found)
        if length == run:
            return found
        at = found + length
    return -1


def _run(line: str, at: int) -> int:
    """How many backticks stand at ``at``."""
    end = at
    while line.startswith("`", end):
        end += 1
    return end - at


def open_span(text: str) -> int:
    """Where, on the last line, backticks begin that may yet open or close a code span; the length where none do."""
    start = text.rfind("\n") + 1
    position = start
    while (opening := text.find("`", position)) != -1:
        run = _run(text, opening)
        closing = _closing(text, opening + run, run)
        if closing == -1:
            return opening if len(text) - opening <= MOST_CODE_SPAN + 2 * run else len(text)
        position = closing + run
        if position == len(text):
            return opening
    return len(text)
