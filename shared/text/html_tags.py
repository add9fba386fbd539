"""Tags in a text, found as HTML's tokenizer delimits them, their attributes read by html5ever (through nh3)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

MOST_TAG = 512
"""Longest tag in characters; one that goes on is told as if it ended there."""

_OPENS = re.compile(rf"<(?:(/?)([A-Za-z][^\s/>]{{0,{MOST_TAG}}})|[!?/])")
"""A name has an end, or each of many that begin in one another would be read to the end of the text."""

_REST = re.compile(r"""(?:[^>=]++|=[ \t\n\f]*+(?:"[^"]*+"|'[^']*+'|(?!["'])))*+>""")
"""Possessive: nothing is read twice."""


_ADDRESSED = re.compile(r"(?i)(?=href|src)")
_MARKED = "\ue000"
"""In a name it keeps nh3 from judging, and dropping, the address before it is read."""


class Tag(Struct, frozen=True):
    """A tag, comment or declaration."""

    start: int
    end: int
    name: str
    """In lower case; empty for what is no tag."""

    closing: bool
    """Whether it is an end tag."""

    complete: bool
    """Whether its ``>`` is there, near enough."""


def tags(text: str, since: int = 0) -> Iterator[Tag]:
    """Every tag in ``text`` from ``since`` on. One may begin within another that is incomplete: readers differ."""
    position = since
    while (opened := _OPENS.search(text, position)) is not None:
        start = opened.start()
        limit = min(len(text), start + MOST_TAG)
        end = _end(text, opened.end(), limit)
        yield Tag(start, limit if end == -1 else end, (opened[2] or "").lower(), bool(opened[1]), end != -1)
        position = start + 1


def unfinished(text: str, start: int) -> int:
    """Where the first tag from ``start`` on begins that is not complete and may yet be; the length if none is."""
    for found in tags(text, start):
        if not found.complete and found.end - found.start < MOST_TAG:
            return found.start
    return len(text.removesuffix("/").removesuffix("<")) if text.endswith(("<", "</")) else len(text)


def attributes(tag: str) -> list[tuple[str, str]]:
    """Names and values of a start tag's attributes, decoded as a browser decodes them."""
    if "=" not in tag:
        return []
    import nh3  # only answers with markup pay for it

    read: list[tuple[str, str]] = []

    def note(_: str, name: str, value: str) -> str:
        read.append((name.replace(_MARKED, ""), value.replace(_MARKED, "")))
        return value

    opened = _OPENS.match(tag)
    rest = tag[opened.end() :] if opened else tag
    nh3.clean(
        # Attributes are read alike in every tag, but some tags are dropped outside of their context.
        "<span" + _ADDRESSED.sub(_MARKED, rest) + ("" if rest.endswith(">") else ">"),
        tags={"span"},
        attributes={},
        generic_attribute_prefixes={""},
        attribute_filter=note,
        link_rel=None,
    )
    return read


def _end(text: str, at: int, limit: int) -> int:
    """The end of a tag whose name has been read, or -1; a ``>`` between quotes after ``=`` does not end it."""
    rest = _REST.match(text, at, limit)
    return -1 if rest is None else rest.end()
