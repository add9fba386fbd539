"""What one event says of a subject: pure, from attributes that hold no text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared.audit.event import DECISION, ERROR, KEY_ID, TENANT, USER
from shared.audit.record import Record

BLOCKS, DENIALS, KILLED, TOKENS, OUTPUT, PROMPTS = "blocks", "denials", "killed", "tokens", "output", "prompts"

_INTERACTION, _DENIALS = "wardgate.interaction", "wardgate.denials"
_KIND = "wardgate.key.kind"
_PROMPT_CHARACTERS = "wardgate.prompt.characters"
_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_DENIALS_COUNT, _DENIALS_DECISION = "wardgate.denials.count", "wardgate.denials.decision"
_KILL_SWITCH = "kill_switch"
"""The error of a call that the kill switch is on for; while it cannot be read, the code is another one."""

_MOST = 2**40
"""A count beyond this is no count."""

_LENGTHS_AN_OCTAVE = 8


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom counters belong to: the narrowest subject that was authenticated.

    A token's caller is one person, and so is its key id. Behind an API key there may be many users, each
    of whom is a subject if the key may say who they are.
    """

    kind: Literal["key", "user"]
    tenant: str
    key_id: str
    user_hmac: str | None = None

    @property
    def digest(self) -> str:
        """Stands for the subject in document ids."""
        parts = (self.kind, self.tenant, self.key_id if self.kind == "key" else self.user_hmac or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Observation:
    """What an event adds to its subject's counters."""

    subject: Subject
    chain_uid: str
    seq: int
    at: int
    """Seconds since the Unix epoch."""

    adds: Mapping[str, int]
    """By counter; never empty."""


def observe(record: Record) -> Observation | None:
    """What the event adds, or None where it says nothing of a subject."""
    attributes = record.attributes
    if record.type == _INTERACTION:
        adds = _of_interaction(attributes)
    elif record.type == _DENIALS:
        adds = _of_denials(attributes)
    else:
        return None
    subject = _subject(attributes)
    adds = {counter: amount for counter, amount in adds.items() if amount}
    if subject is None or not adds:
        return None
    at = int(datetime.fromisoformat(record.time).timestamp())
    return Observation(subject, record.chain_uid, record.seq, at, adds)


def length_counter(characters: int) -> str:
    """The counter of prompts of nearly this length, 1 or more: eight for each doubling, so by 12 % at most."""
    octave = characters.bit_length() - 1
    part = characters * _LENGTHS_AN_OCTAVE // 2**octave - _LENGTHS_AN_OCTAVE
    return f"length_{octave * _LENGTHS_AN_OCTAVE + part}"


def is_length_counter(counter: str) -> bool:
    """Whether a counter is one of ``length_counter``."""
    return counter.startswith("length_")


def _subject(attributes: Mapping[str, Any]) -> Subject | None:
    tenant, key_id, user = (attributes.get(name) for name in (TENANT, KEY_ID, USER))
    if not isinstance(tenant, str) or not isinstance(key_id, str):
        return None
    if isinstance(user, str) and attributes.get(_KIND) == "api_key":
        return Subject("user", tenant, key_id, user)
    return Subject("key", tenant, key_id)


def _of_interaction(attributes: Mapping[str, Any]) -> dict[str, int]:
    decision = attributes.get(DECISION)
    answered = decision in ("answered", "blocked", "cancelled")
    output = _count(attributes.get(_OUTPUT))
    adds = {
        BLOCKS: int(decision == "blocked"),
        DENIALS: int(decision == "denied"),
        KILLED: int(decision == "killed" and attributes.get(ERROR) == _KILL_SWITCH),
        TOKENS: _count(attributes.get(_INPUT)) + output,
        OUTPUT: output,
    }
    characters = _count(attributes.get(_PROMPT_CHARACTERS))
    return {**adds, PROMPTS: 1, length_counter(characters): 1} if answered and characters else adds


def _of_denials(attributes: Mapping[str, Any]) -> dict[str, int]:
    """Of counted events; those that were refused as malformed say nothing."""
    denied = attributes.get(_DENIALS_DECISION) == "denied"
    return {DENIALS: _count(attributes.get(_DENIALS_COUNT)) if denied else 0}


def _count(value: Any) -> int:
    return min(value, _MOST) if type(value) is int and value > 0 else 0
