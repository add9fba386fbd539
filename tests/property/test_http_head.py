"""Heads of answers: read as ``http.client`` reads them where they are well formed, refused where they are not."""

from __future__ import annotations

import io
from contextlib import suppress
from http.client import HTTPException, HTTPResponse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.web.http_head import Answer, MalformedHead


class Canned:
    """What ``HTTPResponse`` wants of a connection."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BufferedReader(io.BytesIO(data))

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._file


def read(data: bytes) -> Answer:
    answer = Answer(Canned(data), method="GET")
    answer.begin()
    return answer


_NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_0123456789", min_size=1, max_size=12).filter(
    lambda name: name.lower() not in ("connection", "content-length", "transfer-encoding")
)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30).map(str.strip)
_FRAMINGS = st.sampled_from(
    [
        ([("Content-Length", "3")], b"abc"),
        ([("content-length", "0")], b""),
        ([("Transfer-Encoding", "chunked")], b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        ([], b"until the end"),
        ([("Connection", "close"), ("Content-Length", "1")], b"x"),
        ([("connection", "Keep-Alive"), ("Content-Length", "1")], b"x"),
    ]
)


@given(
    version=st.sampled_from(["1.0", "1.1"]),
    status=st.sampled_from([200, 204, 304, 400, 401, 503]),
    reason=st.sampled_from(["", " ", " OK", " Not  Found"]),
    interim=st.integers(0, 2),
    fields=st.dictionaries(_NAMES, _VALUES, max_size=8),
    framing=_FRAMINGS,
)
def test_well_formed_heads_mean_what_they_mean_to_http_client(version, status, reason, interim, fields, framing):
    framed, body = framing
    lines = [f"HTTP/{version} {status}{reason}"]
    lines += [f"{name}: {value}" for name, value in [*fields.items(), *framed]]
    data = interim * b"HTTP/1.1 100 Continue\r\n\r\n" + "\r\n".join([*lines, "", ""]).encode() + body

    ours, theirs = read(data), HTTPResponse(Canned(data), method="GET")
    theirs.begin()

    assert (ours.status, ours.version, ours.will_close) == (theirs.status, theirs.version, theirs.will_close)
    # Theirs still says "chunked" of an answer that has no body; nothing is read of either.
    assert (ours.length, ours.read()) == (theirs.length, b"" if status in (204, 304) else theirs.read())
    for name in fields:
        assert ours.fields[name.lower()].split(", ") == [
            part for value in theirs.headers.get_all(name) for part in value.split(", ")
        ]


@given(st.binary(max_size=200))
@example(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n")
@example(b"HTTP/1.1 100 Continue\r\n\r\n" * 20)
def test_anything_else_is_an_error_of_http(data):
    with suppress(HTTPException, OSError):
        read(data).read()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n folded: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: nameless\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\rContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 700 What\r\n\r\n",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(head):
    with pytest.raises((MalformedHead, ConnectionError)):
        read(head)
