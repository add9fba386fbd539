"""Words alone: what a text says once punctuation, mark-up and line breaks no longer matter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.text.views import Edit, Edited, View

_APOSTROPHES = "'’"
_BETWEEN = re.compile(r"[\W_]+")
_TO_SPACE = bytes(code if code >= 0x80 or chr(code).isalnum() else 0x20 for code in range(256))


def words(view: View) -> View:
    """The words of ``view`` with one space between two, none around, and apostrophes dropped; case stays.

    The same object where it is so already.
    """
    text = view.text
    if text.isascii():  # twelve times faster than by a regex
        plain = b" ".join(text.encode().translate(_TO_SPACE, b"'").split()).decode()
    else:
        plain = _BETWEEN.sub(" ", text.replace("'", "").replace("’", "")).strip(" ")
    return view if plain == text else Edited(f"{view.name} words", plain, source=view, edits=lambda: _edits(text))


def _edits(text: str) -> Iterator[Edit]:
    for run in _BETWEEN.finditer(text):
        start, end = run.span()
        inside = start > 0 and end < len(text)
        yield Edit(start, end, int(inside and run.group().strip(_APOSTROPHES) != ""))
