"""The head of an HTTP/1.1 answer (RFC 9112, sections 4 to 6), read strictly; the body is left to ``http.client``.

``http.client`` has its header fields read by the mail parser, which costs a small call more than all the
rest of it and forgives what nobody should send: folded lines, fields without a colon, lengths that
contradict each other. Here such an answer is refused.
"""

from __future__ import annotations

import re
from http.client import HTTPException, HTTPResponse
from io import BufferedReader

_LINE_BYTES = 64 * 1024
_FIELDS = 100
_INTERIM = 10
"""Interim answers (1xx) before the one that counts."""

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r?\n\Z")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_LENGTH = re.compile(r"[0-9]{1,18}\Z")


class MalformedHead(HTTPException):
    """What came is not the head of an HTTP answer. The message never repeats it."""


class Fields(dict[str, str]):
    """Header fields by their names in lower case; several of one name are joined by commas."""

    def content_type(self) -> str:
        """The media type, without its parameters."""
        return self.get("content-type", "").partition(";")[0].strip().lower()


class Answer(HTTPResponse):
    """An ``HTTPResponse``, to anything but HEAD, whose ``begin`` reads the head; ``fields`` are its header fields."""

    fields: Fields

    def begin(self) -> None:
        """Read up to the body.

        Raises:
            MalformedHead: It is not as RFC 9112 has it, or larger than anything that is sent.
            OSError: The connection ended or the time was over.
        """
        file: BufferedReader = self.fp
        for _ in range(_INTERIM):
            version, status = _read_status(file)
            fields = _read_fields(file)
            if status >= 200:
                break
        else:
            raise MalformedHead("too many interim answers")
        self.code = self.status = status
        self.version = version
        self.fields = fields
        self._frame(fields)

    def _frame(self, fields: Fields) -> None:
        """How long the body is, and whether the connection can be used after it (RFC 9112, section 6.3)."""
        connection = fields.get("connection", "").lower()
        self.will_close = "close" in connection or (self.version == 10 and "keep-alive" not in connection)
        self.chunked = "transfer-encoding" in fields
        self.chunk_left = None
        self.length = None
        if self.chunked:
            if fields["transfer-encoding"].lower() != "chunked" or "content-length" in fields:
                raise MalformedHead("an ambiguous length")
        elif "content-length" in fields:
            if _LENGTH.match(fields["content-length"]) is None:
                raise MalformedHead("a length that is no number, or is given twice")
            self.length = int(fields["content-length"])
        if self.status in (204, 304):
            self.chunked, self.length = False, 0
        elif self.length is None and not self.chunked:
            self.will_close = True


def _read_status(file: BufferedReader) -> tuple[int, int]:
    """Version (10 or 11) and status."""
    line = file.readline(_LINE_BYTES)
    if not line:
        raise ConnectionError("closed without an answer")
    match = _STATUS_LINE.match(line)
    if match is None:
        raise MalformedHead("no status line")
    return 10 + int(match[1]), int(match[2])


def _read_fields(file: BufferedReader) -> Fields:
    fields = Fields()
    for _ in range(_FIELDS + 1):
        line = file.readline(_LINE_BYTES)
        if line in (b"\r\n", b"\n"):
            return fields
        if not line.endswith(b"\n"):
            raise MalformedHead("a line that is too long or breaks off")
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or _NAME.match(name) is None:
            raise MalformedHead("a line that is no field")
        name, value = name.lower(), value.strip(" \t\r\n")
        if "\r" in value or "\0" in value:
            raise MalformedHead("a field with a control character")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    raise MalformedHead("too many fields")
