"""The search for leaks itself: one that finds nothing would make every other test of leaks worthless."""

from __future__ import annotations

import base64

from tests.support.leaks import find_leaks, spellings


def test_the_search_for_leaks_finds_them(tmp_path):
    text = "mark0123456789abcdef"
    for number, (_, form) in enumerate(spellings(text).items()):
        (tmp_path / str(number)).write_bytes(b"before" + form + b"after")
    for shift in range(3):
        (tmp_path / f"shift-{shift}").write_bytes(base64.b64encode(b"x" * shift + text.encode() + b"tail"))
    found = {leak.partition(":")[0] for leak in find_leaks(tmp_path, [text])}
    assert found == {file.name for file in tmp_path.iterdir()}
    assert find_leaks(tmp_path, ["mark9876543210fedcba"]) == []
