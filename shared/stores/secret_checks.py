"""What every secret store holds its callers to, after Google Secret Manager."""

from __future__ import annotations

import re

from shared.errors import SecretNotFound

MAX_VALUE_BYTES = 65_536

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def check_new_name(name: str) -> None:
    """Raise ValueError where no secret can be named so."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"A secret's name is made of A-Z, a-z, 0-9, _ and -, at most 255; {name[:80]!r} is not.")


def check_name(name: str) -> None:
    """Raise SecretNotFound where there can be no such secret; also keeps a name from leading elsewhere."""
    if _NAME.fullmatch(name) is None:
        raise SecretNotFound(f"There is no secret {name[:80]!r}, and there can be none of that name.")


def check_value(value: bytes) -> None:
    """Raise ValueError where a version cannot hold this."""
    if not 1 <= len(value) <= MAX_VALUE_BYTES:
        raise ValueError(f"A secret holds 1 to {MAX_VALUE_BYTES} bytes; this value has {len(value)}.")
