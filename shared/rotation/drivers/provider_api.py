"""How drivers call a provider: one bounded HTTP call at a time, and what its answer means for a rotation.

A connection is made for each call and not kept: a kept one that turns out to be closed is tried again on a
new one, and a key must not be made twice. Nothing of what comes or goes is repeated in an error.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from shared.rotation.drivers.port import CALL_SECONDS, DriverError, KeyNotAccepted, ProviderRefused, ProviderUnavailable
from shared.stores.secrets import Secret
from shared.web.http_client import HttpClient, HttpError

T = TypeVar("T")

MOST_BYTES = 1024 * 1024
"""Longest answer that is read: a page of a list is far shorter."""

MOST_PAGES = 100
"""Pages of a list that are read; with a hundred keys on each, more than any project may have."""

MOST_KEY_BYTES = 8192
"""Longest key that is taken for one."""

_CONNECT_SECONDS = 5.0
_BUSY = frozenset({408, 425, 429})
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None
    """Seconds that the provider asks to be left alone for."""


class ProviderApi:
    """The API of one provider. Safe for threads."""

    def __init__(self, base_url: str, name: str) -> None:
        """
        Args:
            base_url: Goes before the path of each call.
            name: What errors call the provider.
        """
        self._client = HttpClient(base_url, connect_timeout=_CONNECT_SECONDS)
        self._name = name

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str], body: object = None, deadline: float
    ) -> Answer:
        """Make one call.

        Args:
            method: Anything but HEAD.
            path: With its query, quoted.
            headers: Without those of the connection.
            body: Sent as JSON; bytes as they are.
            deadline: Of ``time.monotonic()``.

        Raises:
            ProviderUnavailable: No answer came, or not all of it; what was asked may have happened.
        """
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        sent = {"accept": "application/json", "user-agent": "wardgate", "connection": "close", **headers}
        if body is not None:
            sent["content-type"] = "application/json"
        try:
            with self._client.send(method, path, headers=sent, body=data, deadline=deadline) as response:
                answer = response.read(MOST_BYTES)
                return Answer(response.status, answer, _seconds(response.headers.get("retry-after", "")))
        except HttpError as error:
            raise ProviderUnavailable(f"{self._name} did not answer: {type(error).__name__}.") from error

    def decoded(self, answer: Answer, kind: type[T], *, statuses: Collection[int] = (200,)) -> T:
        """The answer's JSON.

        Raises:
            ProviderUnavailable, ProviderRefused: The status is none of those, or the body is no ``kind``.
        """
        if answer.status not in statuses:
            raise self.failure(answer)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except _UNREADABLE:
            # Without its cause, which may hold what came.
            raise ProviderUnavailable(f"{self._name} answered what cannot be read.") from None

    def failure(self, answer: Answer) -> DriverError:
        """The error for an answer that is not what was asked for."""
        if answer.status in _BUSY or answer.status >= 500:
            problem = f"{self._name} cannot do it now: status {answer.status}."
            return ProviderUnavailable(problem, retry_after=answer.retry_after)
        return ProviderRefused(f"{self._name} refuses: status {answer.status}.")

    def endless(self) -> DriverError:
        """The error for a list that does not end."""
        return ProviderUnavailable(f"{self._name} lists more than {MOST_PAGES} pages.")


def split_url(url: str) -> tuple[str, str]:
    """A URL's origin, for ``ProviderApi``, and its path, for ``send``: for APIs that are one address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path or "/"


def deadline() -> float:
    """When a driver's call that begins now must have ended."""
    return time.monotonic() + CALL_SECONDS


def header_text(value: Secret) -> str:
    """A key as it goes into a header.

    Raises:
        KeyNotAccepted: The value is none: no header could carry it.
    """
    data = value.reveal()
    if not _is_key(data):
        raise KeyNotAccepted("The stored value is no key: a key is made of visible ASCII.")
    return data.decode("ascii")


def _is_key(data: bytes) -> bool:
    return 0 < len(data) <= MOST_KEY_BYTES and all(0x21 <= byte <= 0x7E for byte in data)


def new_key(value: str) -> Secret:
    """What a provider gives as a new key.

    Raises:
        ProviderUnavailable: It is none. One may have been made all the same.
    """
    if not _is_key(data := value.encode("utf-8", "replace")):
        raise ProviderUnavailable("What the provider gave is no key: a key is made of visible ASCII.")
    return Secret(data)


def _seconds(text: str) -> float | None:
    """``retry-after`` in seconds; its other form, a date, is left to the rotation's own pause."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
