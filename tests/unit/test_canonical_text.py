"""Canonical text: what is taken out, what stays, and that every range maps to the characters it was read from."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.canonical import canonicalise
from shared.text.hidden import any_hidden
from shared.text.json_text import canonicalise_json, string_values

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
DIRTY = st.text(
    st.sampled_from("ab1 \n\t\r\x00\x1f\x7f\x85\x9fé\u00a0𝒳\u00ad\u200b\u200d\ufe0f❤نक\u202e\U000e0041"), max_size=40
)


def test_clean_text_is_its_own_canonical_text() -> None:
    text = canonicalise("Grüße,\n\t𝒳!")
    assert text.canonical.text is text.original
    assert text.canonical.offsets is None
    assert text.removed == 0


@pytest.mark.parametrize("code", [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)])
def test_every_control_character_goes(code: int) -> None:
    text = canonicalise(f"a{chr(code)}b")
    assert text.canonical.text == "ab"
    assert text.removed == 1
    assert text.canonical.span(1, 2) == (2, 3)


def test_text_is_not_shown_by_a_repr() -> None:
    text = canonicalise("hush\0")
    assert "hush" not in repr(text) + repr(text.canonical)


@given(TEXTS | DIRTY)
def test_canonical_text_is_the_original_without_hidden_characters(original: str) -> None:
    text = canonicalise(original)
    kept = iter(original)
    assert all(character in kept for character in text.canonical.text), "in order, and nothing else"
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in text.canonical.text)
    assert all(any_hidden().match(c) for c in (Counter(original) - Counter(text.canonical.text)))
    assert text.removed == len(original) - len(text.canonical.text)


@given(TEXTS | DIRTY)
def test_canonical_text_is_its_own_canonical_text(original: str) -> None:
    once = canonicalise(original).canonical.text
    assert canonicalise(once).removed == 0


@pytest.mark.parametrize("text", ["❤️‍🔥", "🏳️‍🌈", "👩🏽‍💻", "1️⃣", "نمی‌خواهم", "क्‍ष", "ᠠ᠋", "葛󠄀"[:1], "naïve", "שלום"])
def test_joiners_and_selectors_stay_where_they_are_written(text: str) -> None:
    assert canonicalise(text).removed == 0


@pytest.mark.parametrize(
    "text", ["a\u200db", "a\ufe0f\u200db", "1\u200d2", "и\u200cг", "x" + "".join(map(chr, range(0xFE00, 0xFE10)))]
)
def test_joiners_and_selectors_go_where_they_are_not(text: str) -> None:
    assert canonicalise(text).canonical.text == "".join(c for c in text if c.isalnum())


@given(DIRTY, st.data())
def test_every_range_maps_to_the_characters_it_was_read_from(original: str, data: st.DataObject) -> None:
    view = canonicalise(original).canonical
    if not view.text:
        return
    start = data.draw(st.integers(0, len(view.text) - 1))
    end = data.draw(st.integers(start + 1, len(view.text)))
    first, after = view.span(start, end)
    assert (original[first], original[after - 1]) == (view.text[start], view.text[end - 1])
    assert "".join(original[view.span(at, at + 1)[0]] for at in range(start, end)) == view.text[start:end]
    assert view.locate(first, after) == (start, end)


# --- JSON -----------------------------------------------------------------------------------------


def test_json_without_escapes_has_one_view() -> None:
    assert len(canonicalise_json('{"a": "b"}', cut_escapes=True).views) == 1


@pytest.mark.parametrize(
    ("escaped", "meaning"),
    [
        (r"\u0061dmin", "admin"),
        (r"a\"b\\c\/d", 'a"b\\c/d'),
        (r"one\ntwo\tthree", "one\ntwo\tthree"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d", "\ufffd"),
        (r"\ude00x", "\ufffdx"),
        (r"\ud83dA", "\ufffdA"),
        (r"a\u0000b\rc\u009Fd", "abcd"),
        (r"\\u0000", r"\u0000"),
        (r"\x41 \u12 \u", r"\x41 \u12 \u"),
        ("\\", "\\"),
    ],
)
def test_escapes_are_decoded(escaped: str, meaning: str) -> None:
    *_, decoded = canonicalise_json(escaped, cut_escapes=True).views
    assert decoded.text == meaning


def test_a_decoded_range_maps_to_whole_escapes() -> None:
    original = '{"x": "\\u0061dm\x00i\\u006e!"}'
    decoded = canonicalise_json(original, cut_escapes=True).views[1]
    at = decoded.text.index("admin")
    start, end = decoded.span(at, at + 5)
    assert original[start:end] == "\\u0061dm\x00i\\u006e"


def test_escaped_controls_are_cut_only_on_request() -> None:
    original = r'{"a": "x\u0000\by\n"}'
    assert canonicalise_json(original, cut_escapes=True).canonical.text == r'{"a": "xy\n"}'
    assert canonicalise_json(original, cut_escapes=False).canonical.text == original


def test_string_values_are_told_from_keys() -> None:
    text = '{"key" : "value", "n": [1, "two \\" three", {"k2":"v2"}], "": ""}'
    assert [text[start:end] for start, end in string_values(text)] == ["value", 'two \\" three', "v2", ""]


def test_unterminated_strings_are_no_strings() -> None:
    assert list(string_values('"' + '\\"' * 1000)) == []
