"""Names of objects, the same for every store, so that what one takes all of them take."""

from __future__ import annotations

import re

_SEGMENT = r"(?!\.)[^/\x00-\x1f\x7f\\]{1,255}"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX = re.compile(rf"(?:{_SEGMENT}/)*(?:{_SEGMENT})?")
_MAX_NAME = 1024
"""Cloud Storage's bound, in bytes of UTF-8."""


def check_name(name: str) -> None:
    """See that this can name an object.

    A name has segments of 1 to 255 characters, none of them starting with a dot, and no control character
    or backslash.

    Raises:
        ValueError: It cannot.
    """
    if _NAME.fullmatch(name) is None or len(name.encode()) > _MAX_NAME:
        raise ValueError(f"Not an object's name: {name[:80]!r}.")


def check_prefix(prefix: str) -> None:
    """See that an object's name can start with this.

    Raises:
        ValueError: None can.
    """
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError(f"Not the start of an object's name: {prefix[:80]!r}.")


def check_folder(prefix: str) -> None:
    """See that this is a folder of objects' names: empty, or with its slash.

    Raises:
        ValueError: It is none.
    """
    check_prefix(prefix)
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"Not the name of a folder: {prefix[:80]!r}.")
