"""The format of API keys, ``wg_<id>_<secret>``, and what is derived from the pepper for them.

The id holds the number of the pepper's version that it was made with, 64 random bits, and a MAC of both
under that version, truncated to 40 bits: so a made-up id is known as such without a look at any store.
The secret's 200 random bits need no slow hash; the keyed one keeps a leaked database from being of use
to anyone who lacks the pepper. Both parts are whole groups of base32: each has one spelling, no padding.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from functools import lru_cache
from typing import Final

from msgspec import Struct

from shared.discreet import Discreet
from shared.stores.secrets import Secret

PREFIX: Final = "wg_"
"""What every API key starts with."""

_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_VERSION_BYTES, _RANDOM_BYTES, _MAC_BYTES, _SECRET_BYTES = 2, 8, 5, 25
_ID_CHARACTERS, _SECRET_CHARACTERS = 24, 40


class ParsedKey(Discreet, Struct, frozen=True):
    """A text that has the form of an API key; whether it is one is yet to be seen."""

    id: str
    pepper: int
    """Version of the pepper that the id was made with, as it says."""

    _tagged: bytes
    _mac: bytes

    def is_ours(self, pepper: Secret) -> bool:
        """Whether the id was made with this version of the pepper."""
        return hmac.compare_digest(_mac(pepper, self._tagged), self._mac)


def new_key(number: int, pepper: Secret) -> str:
    """A new key, made with the pepper's version ``number``."""
    tagged = number.to_bytes(_VERSION_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
    return with_new_secret(_base32(tagged + _mac(pepper, tagged)))


def with_new_secret(key_id: str) -> str:
    """A key of this id, with a secret that no other has."""
    return f"{PREFIX}{key_id}_{_base32(secrets.token_bytes(_SECRET_BYTES))}"


def parse_key(text: str) -> ParsedKey | None:
    """Read a key; None for what does not have its form."""
    key_id, _, secret = text.removeprefix(PREFIX).partition("_")
    if not text.startswith(PREFIX) or not is_key_id(key_id):
        return None
    if len(secret) != _SECRET_CHARACTERS or not _ALPHABET.issuperset(secret):
        return None
    data = base64.b32decode(key_id.upper())
    tagged, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    return ParsedKey(key_id, int.from_bytes(tagged[:_VERSION_BYTES], "big"), tagged, mac)


def is_key_id(text: str) -> bool:
    """Whether a text has the form of a key's id."""
    return len(text) == _ID_CHARACTERS and _ALPHABET.issuperset(text)


def pepper_of_id(key_id: str) -> int:
    """Number of the pepper's version that an id was made with, and that is needed to know it as ours."""
    return int.from_bytes(base64.b32decode(key_id.upper())[:_VERSION_BYTES], "big")


def key_hash(pepper: Secret, key: str) -> bytes:
    """What is stored of a key. Over the whole of it, so that a hash is of no use under another id."""
    return hmac.digest(_derive(pepper.reveal(), b"wardgate api key hash v1"), key.encode(), "sha256")


def _mac(pepper: Secret, tagged: bytes) -> bytes:
    return hmac.digest(_derive(pepper.reveal(), b"wardgate api key id v1"), tagged, "sha256")[:_MAC_BYTES]


@lru_cache(maxsize=16)
def _derive(pepper: bytes, purpose: bytes) -> bytes:
    """A key for one purpose: the first block of HKDF-Expand with SHA-256 (RFC 5869, section 2.3)."""
    return hmac.digest(pepper, purpose + b"\x01", "sha256")


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower()
