"""The secrets of one API key: one as a rule, two while one takes the place of the other, none before the first.

In the key's document ``hash`` and ``pepper`` are those of the newest; ``older`` has the others in the same form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct


class StoredSecret(Struct, frozen=True):
    """What is stored of a secret."""

    hash: bytes
    pepper: int
    """Version of the pepper that the hash was made with."""

    until: datetime | None = None
    """When it ends; None: with the key."""

    attempt: str | None = None
    """The rotation's attempt that made it; None: people did."""

    def is_live(self, now: datetime) -> bool:
        """Whether it is still good."""
        return self.until is None or now < self.until


def stored_secrets(fields: Mapping[str, Any]) -> tuple[StoredSecret, ...]:
    """The secrets in a key's document, the newest first."""
    if fields["hash"] is None:
        return ()
    return tuple(
        StoredSecret(one["hash"], one["pepper"], one.get("until"), one.get("attempt"))
        for one in (fields, *fields.get("older", ()))
    )


def secret_fields(secrets: Sequence[StoredSecret]) -> dict[str, Any]:
    """The fields of a key's document that hold these secrets, the newest first."""
    newest, *older = [_fields(secret) for secret in secrets] or [_NONE]
    return {**newest, "older": older}


def _fields(secret: StoredSecret) -> dict[str, Any]:
    return {"hash": secret.hash, "pepper": secret.pepper, "until": secret.until, "attempt": secret.attempt}


_NONE = {"hash": None, "pepper": None, "until": None, "attempt": None}
