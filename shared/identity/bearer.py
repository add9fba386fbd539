"""Reads the bearer token of a request (RFC 6750, section 2.1).

``Authorization`` is the only header that is read: a credential in a second place would be one that
proxies and logs do not know to hide.
"""

from __future__ import annotations

from typing import Protocol

from shared.errors import Unauthenticated

MAX_TOKEN_CHARACTERS = 7 * 1024
"""Room for any ordinary ID token. Below gunicorn's limit of 8,190 bytes for a header line, so that a token
that is somewhat too large still gets an answer which says so."""


class Headers(Protocol):
    """A request's headers. Names are asked for in lower case; Flask's mapping ignores case."""

    def get(self, name: str, /) -> str | None:
        """The header's value, or None where it was not sent."""


def bearer_token(headers: Headers) -> str:
    """The token in ``Authorization: Bearer <token>``.

    A header that was sent twice arrives as one, joined by a comma; no kind of token holds one.

    Raises:
        Unauthenticated: ``missing_credentials``, ``invalid_credentials`` (another scheme than Bearer)
            or ``token_too_large``.
    """
    header = headers.get("authorization")
    if header is None:
        raise _missing()
    if len(header) > MAX_TOKEN_CHARACTERS:
        raise Unauthenticated("The token is too large.", code="token_too_large")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(
            "The Authorization header is not of the form 'Bearer <token>'.", code="invalid_credentials"
        )
    token = token.strip(" ")
    if not token:
        raise _missing()
    return token


def _missing() -> Unauthenticated:
    return Unauthenticated("Send an API key or a token as 'Authorization: Bearer <token>'.", code="missing_credentials")
