"""base64url as JOSE writes it."""

from __future__ import annotations

import base64


def base64url_encode(data: bytes) -> str:
    """base64url without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_decode(text: str) -> bytes:
    """Undo ``base64url_encode``; every other spelling of the same bytes is refused.

    Raises:
        ValueError: ``text`` is not what ``base64url_encode`` makes.
    """
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url_encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
