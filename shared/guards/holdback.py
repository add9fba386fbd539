"""A growing text that is let go only as far as no acting guard can still find something in it.

Each guard's reach tells where the earliest finding may begin that more text could still complete or
change: R characters before the end for a bounded guard, and where a word begins that may become a
finding for a growing one. Everything before that is decided and leaves, redacted; a look at the
undecided rest, with the reach's characters of context before it, is all that each fragment costs. The
result does not depend on how the text was split.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from msgspec import structs
from msgspec.structs import replace

from shared.guards.parts import Form, Part
from shared.guards.port import Finding, Reach
from shared.guards.redaction import MARK
from shared.text.hidden import CONTEXT, hidden_ranges
from shared.text.markdown_code import IN_DOUBT, MOST_LINE, START, code_in

Look = Callable[[Part], Sequence[Finding] | None]
"""What the acting guards find in a part, located in it; None where one failed without which nothing may pass."""


class HeldText:
    """One text of a streamed answer.

    Args:
        path: Where it stands in the answer, as ``choices[0].message.content``.
        form: What it is.
        reach: How much to hold back; None where no guard acts, so that nothing is held back and ``look`` not asked.
        look: Asked for each window.
    """

    def __init__(self, path: str, form: Form, reach: Reach | None, look: Look) -> None:
        self.findings: list[Finding] = []
        """What the acting guards found, located in the text as it came."""

        self.blocked = False
        self.length = 0
        """Characters of canonical text so far."""

        self.bytes_seen = 0
        """Bytes of it that the acting guards have looked at."""

        self.bytes_sent = 0
        """Bytes of it among what was let go and did leave."""

        self.has_left = False
        """Whether anything of it did leave, be it a mark."""

        self._bytes = self._bytes_let_go = 0
        self._path = path
        self._form = form
        self._reach = reach
        self._look = look
        self._blocks = START
        self._received: list[str] = []
        self._passed: list[str] = []
        self._removed: list[int] = []
        self._before = ""
        self._window = ""
        self._window_start = 0
        self._decided = 0
        self._out = 0

    @property
    def _whole(self) -> bool:
        return self._reach is not None and self._reach.characters is None

    @property
    def received(self) -> str:
        """The canonical text so far."""
        return "".join(self._received)

    @property
    def bytes_received(self) -> int:
        """Its bytes so far."""
        return self._bytes

    @property
    def passed(self) -> str:
        """What has been let go so far."""
        return "".join(self._passed)

    def add(self, fragment: str) -> str:
        """Take in the next fragment; answers what may leave now."""
        text = self._canonical(fragment)
        self._received.append(text)
        self.length += len(text)
        self._bytes += len(text.encode())
        if self._reach is None:
            self._passed.append(text)
            self._bytes_let_go = self._bytes
            return text
        if self._reach.characters is None:
            return ""
        self._window += text
        decided = self._window_start + self._reach.undecided(self._window)
        return self._advance(decided) if decided > self._decided else ""

    def finish(self) -> str:
        """The text is complete; answers the rest that may leave."""
        if self._whole:
            self._window = self.received
        return self._advance(self.length) if self._window and self._decided < self.length else ""

    def sent(self) -> None:
        """What has been let go so far does leave."""
        self.bytes_sent, self.has_left = self._bytes_let_go, True

    def part(self, text: str) -> Part:
        """``text``, which is some of it, as a part of the answer."""
        return Part(self._path, "user", text, self._form, None, "", cut_escapes=False)

    def _windowed(self) -> Part:
        part = self.part(self._window)
        return structs.replace(part, before=self._blocks, since=self._decided - self._window_start)

    def original(self, finding: Finding) -> Finding:
        """``finding``, located in the canonical text, as it is in the text as it came."""
        if not self._removed:
            return finding
        start, end = finding.span
        before, within = bisect_right(self._removed, start), bisect_right(self._removed, end - 1)
        return replace(finding, span=(start + before, end + within))

    def _canonical(self, fragment: str) -> str:
        """The fragment without hidden characters, whose places are remembered."""
        start = at = len(self._before)
        text = self._before + fragment
        self._before = text[-CONTEXT:]
        canonical = ""
        for first, after in hidden_ranges(text, start):
            canonical += text[at:first]
            self._removed += [self.length + len(canonical)] * (after - first)
            at = after
        return canonical + text[at:]

    def _advance(self, decided: int) -> str:
        """Decide every finding that starts before ``decided`` and let the text up to there go."""
        found = self._look(self._windowed())
        if found is None:
            self.blocked = True
            return ""
        self.bytes_seen = self._bytes
        due = self._due(found, decided)
        decided = _whole_cuts(due, self._out, decided)
        released = self._release([finding for finding in due if finding.span[0] < decided], decided)
        self._decided = decided
        if self.blocked and self._whole:
            return ""
        self._passed.append(released)
        self._trim()
        return released

    def _release(self, findings: Sequence[Finding], decided: int) -> str:
        pieces: list[str] = []
        for index, finding in enumerate(findings):
            self.findings.append(self.original(finding))
            start, end = finding.span
            if finding.action == "flag":
                continue
            apart = start >= self._out  # else it overlaps what is being cut already
            if apart:
                pieces.append(self._between(self._out, start))
            if finding.action == "block":
                self.blocked = True
                return "".join(pieces)
            if apart:
                pieces.append(_instead_of(finding, findings[index + 1 :]))
            self._out = max(self._out, end)
        if decided > self._out:
            pieces.append(self._between(self._out, decided))
            self._out = decided
        return "".join(pieces)

    def _due(self, found: Sequence[Finding], decided: int) -> list[Finding]:
        """What was found in the window and is to be decided now: by place, a block before a redaction."""
        base = self._window_start
        placed = (replace(finding, span=(finding.span[0] + base, finding.span[1] + base)) for finding in found)
        due = [finding for finding in placed if self._decided <= finding.span[0] < decided]
        return sorted(due, key=lambda finding: (finding.span[0], finding.action != "block", finding.span[1]))

    def _between(self, start: int, end: int) -> str:
        """A range of the text that is let go as it came."""
        text = self._window[start - self._window_start : end - self._window_start]
        self._bytes_let_go += len(text.encode())
        return text

    def _trim(self) -> None:
        """Forget what no later look needs; the window begins with a line, unless code is in doubt anyway."""
        keep = self._decided - (self._reach.characters or 0 if self._reach else 0) - self._window_start
        if keep <= 0:
            return
        if self._blocks.blocks_sure:
            line = self._window.rfind("\n", 0, keep) + 1
            if line:
                keep = line
                self._blocks = code_in(self._window[:line], self._blocks).after
            elif keep >= MOST_LINE:
                self._blocks = IN_DOUBT
            else:
                return
        self._window = self._window[keep:]
        self._window_start += keep


def _whole_cuts(findings: Sequence[Finding], out: int, decided: int) -> int:
    """How far a text may be decided so that no replacement leaves before it is known whether another cut overlaps it.

    Args:
        findings: What would be decided now.
        out: Up to where the text has left or been cut.
        decided: How far it may be decided otherwise.
    """
    for index, finding in enumerate(findings):
        if finding.action == "flag":
            continue
        start, end = finding.span
        if start >= out and end > decided and _instead_of(finding, findings[index + 1 :]) != MARK:
            return start
        out = max(out, end)
    return decided


def _instead_of(finding: Finding, later: Sequence[Finding]) -> str:
    """What stands in the place of a cut; where another one overlaps, the mark alone, since it could show that one's."""
    for other in later:
        if other.span[0] >= finding.span[1]:
            break
        if other.action != "flag" and (other.span, other.replacement) != (finding.span, finding.replacement):
            return MARK
    return MARK if finding.replacement is None else finding.replacement
