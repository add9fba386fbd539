"""The event-stream parser reads the same events however the stream is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.web.sse import EventParser, EventTooLarge, encode_comment, encode_event

LIMIT = 10_000


def parse(pieces, limit=LIMIT):
    parser = EventParser(limit)
    return [event for piece in pieces for event in parser.feed(piece)]


def reference(stream):
    """The specification's algorithm on the whole stream, line by line."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, data = [], []
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append(b"\n".join(data))
            data = []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value[1:] if value.startswith(b" ") else value)
    return events


def cut(stream, places):
    edges = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


FRAGMENTS = st.sampled_from(
    [b"data:", b"data: ", b"data", b"event: x", b"id:1", b": comment", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf"]
)
STREAMS = st.lists(FRAGMENTS | st.binary(max_size=6), max_size=40).map(b"".join)


@given(stream=STREAMS, data=st.data())
@settings(max_examples=400)
def test_every_cut_gives_what_the_specification_says(stream, data):
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert parse(cut(stream, places)) == reference(stream)


@given(stream=STREAMS)
@settings(max_examples=100)
def test_byte_by_byte(stream):
    assert parse([stream[i : i + 1] for i in range(len(stream))]) == reference(stream)


@given(events=st.lists(st.binary(max_size=50).map(lambda data: data.replace(b"\r", b"")), max_size=10))
@settings(max_examples=100)
def test_what_is_encoded_is_read_again(events):
    stream = b"".join(encode_event(data) + encode_comment("kept alive") for data in events)
    assert parse([stream]) == events


@pytest.mark.parametrize("size", [1, 100])
def test_a_line_longer_than_the_limit_is_refused(size):
    parse([b"data: " + b"x" * 94 + b"\n"], limit=100)
    too_long = b"data: " + b"x" * 95 + b"\n"
    with pytest.raises(EventTooLarge):
        parse([too_long[i : i + size] for i in range(0, len(too_long), size)], limit=100)


def test_an_event_larger_than_the_limit_is_refused():
    line = b"data: " + b"x" * 40 + b"\n"
    assert len(parse([line * 2 + b"\n"], limit=100)) == 1
    with pytest.raises(EventTooLarge):
        parse([line * 3 + b"\n"], limit=100)


def test_a_comment_longer_than_the_limit_is_refused():
    with pytest.raises(EventTooLarge):
        parse([b":" + b"x" * 200], limit=100)


def test_events_without_end_are_not_events():
    assert parse([b"data: 1\n\ndata: 2\n"]) == [b"1"]
