"""What both storages for the library ``limits`` have in common: their URI, and how long they wait between attempts."""

from __future__ import annotations

import random
from urllib.parse import urlsplit

from limits.errors import ConfigurationError

STRIPES = 64
"""Locks for all keys, so that hits on one key take turns within a process."""

ATTEMPTS = 8
"""How often a commit is sent that was aborted."""

_PAUSE_SECONDS = 0.01


def pause(attempt: int) -> float:
    """Seconds before an aborted commit is sent again: drawn below a bound that doubles."""
    return random.uniform(0, _PAUSE_SECONDS * (1 << attempt))  # noqa: S311  # spreads load, hides nothing


def parse(uri: str | None) -> tuple[str, str, str]:
    """Project, database and collection.

    Raises:
        ConfigurationError: The URI names no project, or is malformed.
    """
    parts = urlsplit(uri or "")
    database, _, collection = parts.path.strip("/").partition("/")
    if not parts.netloc or "/" in collection:
        raise ConfigurationError("Give the storage as firestore://project/(default)/collection.")
    return parts.netloc, database or "(default)", collection or "rate_limits"
