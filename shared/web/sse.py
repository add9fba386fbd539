"""Server-sent events: an incremental parser and an encoder.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation as
far as OpenAI's protocol uses it: an event is its data; ``event``, ``id``, ``retry`` and comments are
read over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.errors import WardgateError

DONE = b"[DONE]"
"""The data of the event that ends a stream of OpenAI's protocol."""

_BOM = b"\xef\xbb\xbf"
_LINE_BREAK = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(WardgateError):
    """A line or an event is larger than the reader takes."""


class EventParser:
    """Turns a byte stream, however it is cut into pieces, into the data of its events."""

    def __init__(self, limit: int) -> None:
        """
        Args:
            limit: Most bytes of one line, and of the data of one event.
        """
        self._limit = limit
        self._line: list[bytes] = []
        """The pieces of the line that has not ended yet; joined once, so that a trickle costs no more."""
        self._line_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._after_return = False
        self._started = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take the next piece of the stream; yield the data of each event that it completes.

        Raises:
            EventTooLarge: A line or an event exceeds the limit. The parser is of no use afterwards.
        """
        if self._after_return and piece:
            self._after_return = False
            piece = piece.removeprefix(b"\n")
        if piece.endswith(b"\r"):
            self._after_return = True
        *lines, rest = piece.split(b"\n") if b"\r" not in piece else _LINE_BREAK.split(piece)
        for line in lines:
            data = self._end_line(line)
            if data is not None:
                yield data
        self._extend_line(rest)

    def _extend_line(self, part: bytes) -> None:
        if part:
            self._line_size += len(part)
            if self._line_size > self._limit:
                raise EventTooLarge(f"A line of the event stream is longer than {self._limit} bytes.")
            self._line.append(part)

    def _end_line(self, part: bytes) -> bytes | None:
        self._extend_line(part)
        line = b"".join(self._line)
        self._line.clear()
        self._line_size = 0
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data_size += len(value) + 1
            if self._data_size > self._limit + 1:
                raise EventTooLarge(f"An event is larger than {self._limit} bytes.")
            self._data.append(value)
        return None

    def _dispatch(self) -> bytes | None:
        if not self._data:
            return None
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._data_size = 0
        return data


def encode_event(data: bytes) -> bytes:
    """One event with this data, which must hold no carriage return."""
    return b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"


def encode_comment(text: str) -> bytes:
    """A comment, which readers of events skip; its text must hold no line break."""
    return b": " + text.encode() + b"\n\n"
