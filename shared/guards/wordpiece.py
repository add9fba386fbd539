"""BERT's tokens: words without case and accents, in pieces of a fixed vocabulary, the longest first.

Reads a ``tokenizer.json`` of Hugging Face's and gives the same numbers as their ``tokenizers``, which would bring a
dozen packages along that fetch models; a property test compares the two. Special tokens that a text spells out, as
``[SEP]``, are words like any others. Source of the algorithm: BERT's ``tokenization.py`` (Devlin et al., 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal
from unicodedata import category, normalize

import msgspec

from shared.shapes import prepare

_DROPPED = frozenset({"Cc", "Cf", "Co", "Cs"})
_IDEOGRAPHS = (
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
    *((0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)),
)
"""First and last of each block; each ideograph is a word."""

_CONTINUES = "##"


class _Normalizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["BertNormalizer"]
    clean_text: bool
    handle_chinese_chars: bool
    strip_accents: bool | None
    lowercase: bool


class _PreTokenizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["BertPreTokenizer"]


class _Model(msgspec.Struct, frozen=True):
    vocab: dict[str, int]
    unk_token: str
    max_input_chars_per_word: int
    continuing_subword_prefix: Literal["##"]
    type: Literal["WordPiece"] = "WordPiece"


class _TokenizerFile(msgspec.Struct, frozen=True):
    """What is read of ``tokenizer.json``."""

    normalizer: _Normalizer
    pre_tokenizer: _PreTokenizer
    model: _Model


prepare(_TokenizerFile)


class WordPiece:
    """The tokens of a text, by number.

    Args:
        tokenizer: The content of a ``tokenizer.json`` of BERT's kind, uncased.

    Raises:
        ValueError: It is of another kind.
    """

    def __init__(self, tokenizer: bytes) -> None:
        try:
            described = msgspec.json.decode(tokenizer, type=_TokenizerFile)
        except msgspec.MsgspecError as error:
            raise ValueError(f"tokenizer.json is not of BERT's kind: {error}") from error
        rules = described.normalizer
        if not (
            rules.clean_text and rules.handle_chinese_chars and rules.lowercase and rules.strip_accents is not False
        ):
            raise ValueError("tokenizer.json keeps case or accents, or does not clean the text")
        self._vocabulary = described.model.vocab
        try:
            self.first = self._vocabulary["[CLS]"]
            self.last = self._vocabulary["[SEP]"]
            self._unknown = self._vocabulary[described.model.unk_token]
        except KeyError as error:
            raise ValueError(f"tokenizer.json has no {error}") from error
        self._longest_word = described.model.max_input_chars_per_word
        self._longest_piece = max(map(len, self._vocabulary))

    def tokens(self, text: str) -> list[int]:
        """Every token of ``text``, without those that stand at its ends."""
        return [token for word in _words(text) for token in self._pieces(word)]

    def _pieces(self, word: str) -> list[int]:
        """The longest piece that the word begins with, and so on; all or nothing."""
        if len(word) > self._longest_word:
            return [self._unknown]
        pieces = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(min(len(word), start + self._longest_piece), start, -1):
                if (token := self._vocabulary.get(prefix + word[start:end])) is not None:
                    break
            else:
                return [self._unknown]
            pieces.append(token)
            start, prefix = end, _CONTINUES
        return pieces


def _words(text: str) -> Iterator[str]:
    """Words, each sign and each ideograph by itself."""
    yield from "".join(map(_plain, normalize("NFD", "".join(map(_cleaned, text))))).split(" ")


@lru_cache(4096)
def _cleaned(character: str) -> str:
    """White space as a blank, ideographs between blanks, and nothing for what is no text."""
    if character in "\t\n\r":
        return " "
    kind = category(character)
    if kind in _DROPPED or character in "\0\ufffd":
        return ""
    if kind[0] == "Z":
        return " "
    return f" {character} " if any(first <= ord(character) <= last for first, last in _IDEOGRAPHS) else character


@lru_cache(4096)
def _plain(character: str) -> str:
    """A letter in lower case, signs between blanks, and nothing for an accent."""
    kind = category(character)
    if kind == "Mn":
        return ""
    if kind[0] == "P" or (character.isascii() and not character.isalnum() and character != " "):
        return f" {character} "
    return character.lower()
