"""Neighbouring messages put together, for what makes sense only across the seam between two of them.

Messages of one voice are joined in their order: the caller's (user, system, developer) and the tools'. Of a long
one only the beginning and the end are taken, since what lies further from a seam than that is found where it is.
So the joined text is at most as long as the messages, and short ones, over which an attack may be spread word by
word, are there in full.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from shared.guards.parts import Part
from shared.guards.port import Channel, Finding
from shared.text.canonical import Text, canonicalise

EDGE = 400
"""Characters of each end of a message that are joined."""

_JOINT = "\n"
_VOICES: tuple[tuple[Channel, frozenset[str]], ...] = (
    ("user", frozenset({"user", "system", "developer"})),
    ("tool", frozenset({"tool"})),
)


class Piece(Struct, frozen=True):
    """Some of one message, and where it stands in the joined text."""

    at: int
    index: int
    """Of the message's text."""

    start: int
    """Its place in that text's canonical view."""

    length: int


class Neighbours(Struct, frozen=True):
    """Messages of one voice as one text."""

    channel: Channel
    text: Text
    pieces: tuple[Piece, ...]

    def located(self, finding: Finding, texts: Sequence[Text]) -> Iterator[tuple[int, Finding]]:
        """A finding that more than one message makes, in each of them; nothing for any other.

        Args:
            finding: In the joined text.
            texts: The texts of all parts.
        """
        start, end = finding.span
        for piece in self._across(start, end):
            begin = piece.start + max(start - piece.at, 0)
            after = piece.start + min(end - piece.at, piece.length)
            span = texts[piece.index].canonical.span(begin, after)
            yield piece.index, replace(finding, span=span)

    def crosses(self, span: tuple[int, int]) -> bool:
        """Whether more than one message makes what stands there in the joined text."""
        return bool(self._across(*span))

    def _across(self, start: int, end: int) -> list[Piece]:
        """The pieces that make a range of the joined text; none where they are of one message."""
        first = bisect_right(self.pieces, start, key=lambda piece: piece.at) - 1
        touched = []
        for piece in self.pieces[max(first, 0) :]:
            if piece.at >= end:
                break
            if piece.at + piece.length > start:
                touched.append(piece)
        return touched if len({piece.index for piece in touched}) > 1 else []


def neighbours(parts: Sequence[Part], texts: Sequence[Text]) -> Iterator[Neighbours]:
    """The joined text of each voice that has more than one message with text."""
    for channel, roles in _VOICES:
        spoken = [index for index, part in enumerate(parts) if part.role in roles and texts[index].canonical.text]
        if len(spoken) > 1:
            yield _joined(channel, spoken, texts)


def _joined(channel: Channel, spoken: Sequence[int], texts: Sequence[Text]) -> Neighbours:
    pieces: list[Piece] = []
    joined: list[str] = []
    at = 0
    for index in spoken:
        text = texts[index].canonical.text
        edges = ((0, len(text)),) if len(text) <= 2 * EDGE else ((0, EDGE), (len(text) - EDGE, len(text)))
        for start, end in edges:
            pieces.append(Piece(at, index, start, end - start))
            joined.append(text[start:end])
            at += end - start + len(_JOINT)
    return Neighbours(channel, canonicalise(_JOINT.join(joined)), tuple(pieces))
