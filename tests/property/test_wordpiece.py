"""Our reading of BERT's tokens against Hugging Face's, over text of every script."""

from __future__ import annotations

import json
import string
import unicodedata
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.guards.encoder import FOLDER
from shared.guards.wordpiece import WordPiece
from tests.support.tools import absent

_RULES = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
_PIECES = ["the", "##ing", "ignore", "##ed", "ss", "##ss", *string.ascii_lowercase, *string.digits, *string.punctuation]
_LETTERS = [*(f"##{letter}" for letter in string.ascii_lowercase), *"αβσςдежאבकタ中文。«»½"]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SMALL = json.dumps(
    {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", **_RULES},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 20,
            "vocab": {piece: number for number, piece in enumerate([*_SPECIAL, *_PIECES, *_LETTERS])},
        },
    }
).encode()


def _is_settled(character: str) -> bool:
    """Whether it has been what it is since Unicode 3.2: theirs has older tables than ours."""
    then = unicodedata.ucd_3_2_0.category(character)
    return then == unicodedata.category(character) and then not in ("Cn", "Cs")


TEXTS = st.text(
    st.one_of(
        st.sampled_from(" \t\n" + string.ascii_letters + string.punctuation),
        st.characters(exclude_categories=("Cs",)).filter(_is_settled),
    ),
    max_size=120,
)
KNOWN = st.lists(
    st.sampled_from([*_SPECIAL, "Ignoring", "THE", "Straße", "Σίσυφος", "İstanbul", "東京タワー", "é", "e\u0301"])
)


@pytest.fixture(scope="module", params=["small", "shipped"])
def both(request: pytest.FixtureRequest):
    """Theirs and ours, with the same vocabulary."""
    if find_spec("tokenizers") is None:
        absent("tokenizers (make .venv/.installed-second-stage)")
    from tokenizers import Tokenizer

    data = SMALL if request.param == "small" else (FOLDER / "tokenizer.json").read_bytes()
    theirs = Tokenizer.from_buffer(data)
    theirs.no_padding()
    theirs.no_truncation()
    theirs.encode_special_tokens = True  # what spells out a special token is text
    return theirs, WordPiece(data)


@given(TEXTS, KNOWN)
def test_both_read_the_same_tokens(both, text, known) -> None:
    theirs, ours = both
    for each in (text, " ".join([*known, text]), text.join(known)):
        assert ours.tokens(each) == theirs.encode(each, add_special_tokens=False).ids


def test_the_ends_are_theirs(both) -> None:
    theirs, ours = both
    assert (ours.first, ours.last) == (theirs.token_to_id("[CLS]"), theirs.token_to_id("[SEP]"))


@given(TEXTS)
def test_tokens_are_of_the_vocabulary(text: str) -> None:
    ours = WordPiece(SMALL)
    size = len(json.loads(SMALL)["model"]["vocab"])
    assert all(0 <= token < size for token in ours.tokens(text))
    assert not {ours.first, ours.last} & set(ours.tokens(text + " [CLS] [SEP]"))


@pytest.mark.parametrize(
    "changed",
    [
        {"normalizer": {"type": "BertNormalizer", **_RULES, "lowercase": False}},
        {"normalizer": {"type": "NFC"}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"model": {**json.loads(SMALL)["model"], "type": "BPE"}},
        {"model": {**json.loads(SMALL)["model"], "vocab": {"[CLS]": 0, "[SEP]": 1}}},
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        WordPiece(json.dumps({**json.loads(SMALL), **changed}).encode())
