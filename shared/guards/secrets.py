"""Secrets (LLM06): keys, tokens, passwords and private keys, in what goes to the model and in what it answers."""

from __future__ import annotations

import re2  # type: ignore[import-untyped]  # ships no types

from shared.guards.port import growing
from shared.guards.secret_rules import KEY_HEAD, KEY_OPENING, KEY_OPENING_WIDTH, MOST, MOST_KEY, RULES, private_key
from shared.guards.sensitive import CONTEXT, SensitiveGuard, visible_run
from shared.policy.types import SecretsRule

MOST_CANDIDATES = 1000
"""Of one rule in one prompt. Nobody needs to send so many keys, and each may be 128 characters to look at."""

_HEAD = re2.compile(KEY_HEAD)


def secrets_guard(policy: SecretsRule) -> SensitiveGuard:
    """The guard against secrets."""
    reach = growing(tail, context=CONTEXT, most=MOST_KEY)
    return SensitiveGuard("secrets", RULES, policy, most=MOST, candidates=MOST_CANDIDATES, reach=reach)


def tail(text: str) -> int:
    """Where a secret may begin that has not come whole: with the word that ends ``text``, or a private key before."""
    run = visible_run(text, MOST)
    opening = text.find(KEY_OPENING, max(len(text) - MOST_KEY, 0), run)
    while opening != -1:
        if _is_open(text, opening):
            return opening
        opening = text.find(KEY_OPENING, opening + 1, run)
    return run


def _is_open(text: str, opening: int) -> bool:
    """Whether what begins like a private key may still become longer."""
    head = _HEAD.match(text, opening)
    if head is None:
        return len(text) - opening < KEY_OPENING_WIDTH
    return private_key(text, opening, head.end()) >= len(text)
