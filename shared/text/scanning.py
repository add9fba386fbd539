"""Patterns of RE2 over bytes: linear, and several times faster than ``re`` where most of a text does not match."""

from __future__ import annotations

from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types


def image(text: str) -> bytes:
    """``text`` with one byte for each character, so that places in it are places in ``text``; ``?`` if not ASCII."""
    return text.encode("ascii", "replace")


def scanner(pattern: str, *, longest: bool = False) -> Any:
    """``pattern``, which names ASCII only, for images; the longest of its alternatives wins on request."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.longest_match = longest
    return re2.compile(pattern.encode(), options)
