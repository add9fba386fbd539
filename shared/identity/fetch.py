"""Fetches one small document over HTTP: an issuer's keys, a token of the metadata server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.web.http_client import HttpClient, HttpError

_MAX_BYTES = 256 * 1024
_TOTAL_SECONDS = 3.0
_CONNECT_SECONDS = 2.0


class Unfetched(HttpError):
    """The server answered, but not with the document."""


def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The body of the answer to a GET.

    Raises:
        HttpError: It did not come within 3 s, is larger than 256 KiB, or has another status than 200.
        ValueError: ``url`` is not an http or https URL.
    """
    parts = urlsplit(url)
    client = HttpClient(f"{parts.scheme}://{parts.netloc}", connect_timeout=_CONNECT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    deadline = time.monotonic() + _TOTAL_SECONDS
    # The connection is not kept: the next document is wanted in an hour.
    with client.send("GET", path, headers={"connection": "close", **(headers or {})}, deadline=deadline) as response:
        if response.status != 200:
            raise Unfetched(f"The answer's status is {response.status}.")
        return response.read(_MAX_BYTES)
