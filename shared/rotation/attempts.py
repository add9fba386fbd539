"""Names of attempts to make a key, by which a provider's list tells which keys are rotation's."""

from __future__ import annotations

import hashlib
import re
import secrets

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


def attempt_id(name: str, generation: int, fence: int) -> str:
    """A name for an attempt that no other has, fit for every provider: see ``Driver.create``."""
    readable = _NOT_IN_A_NAME.sub("-", name.lower()).strip("-")[:20].strip("-")
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"wg-{readable}-{digest}-{generation}-{fence}-{secrets.token_hex(3)}"
