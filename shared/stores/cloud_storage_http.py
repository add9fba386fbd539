"""Requests to Cloud Storage's JSON API: a deadline for all tries of one, credentials, and whole bodies only.

https://cloud.google.com/storage/docs/retry-strategy names what may be tried again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import urllib3
from google.auth.exceptions import GoogleAuthError

from shared.errors import StoreUnavailable
from shared.stores.access_token import AccessToken
from shared.stores.checksums import crc32c

HOST = "https://storage.googleapis.com"

MAX_BYTES = 128 * 1024 * 1024
"""Bound on an answer, since it is held in memory whole."""

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.1
_PASSING = frozenset({401, 408, 429, 500, 502, 503, 504})
_CONNECTIONS = 32
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    attempts: int
    """How often the request was sent; an earlier one may have taken effect."""


class _Failed(Exception):
    """One attempt failed in a way that another may not."""


class StorageHttp:
    """Sends requests to Cloud Storage, or to the emulator that ``STORAGE_EMULATOR_HOST`` names. Safe for threads."""

    def __init__(self, timeout_seconds: float) -> None:
        """Connects at first use, so that nothing is carried over a fork.

        Args:
            timeout_seconds: For all attempts of one request together.
        """
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._made: tuple[int, urllib3.PoolManager | None, Callable[[bool], dict[str, str]]] = (0, None, _anonymous)

    def send(
        self, method: str, path: str, *, what: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send a request, up to three times while the failure may pass, so it must be one that can be repeated.

        Args:
            method: The request's method.
            path: From the host's root, with the query.
            what: What is asked for, for an error's message.
            headers: The request's own.
            body: The request's body.

        Raises:
            StoreUnavailable: No answer in time, one that is damaged, or a status that says "not now" to the last.
        """
        until = time.monotonic() + self._timeout
        reason = "no answer in time"
        renew = False
        for attempt in range(1, _ATTEMPTS + 1):
            left = until - time.monotonic()
            if left <= 0:
                break
            # Half of what is left, so that there is time for another try.
            by = time.monotonic() + (left if attempt == _ATTEMPTS else left / 2)
            try:
                status, answer = self._attempt(method, path, headers or {}, body, by, renew)
            except _Failed as failure:
                reason = str(failure)
            else:
                if status not in _PASSING:
                    return Answer(status, answer, attempt)
                reason, renew = f"HTTP {status}", status == 401
            pause = _FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1)  # noqa: S311  # spreads load, keeps no secret
            if attempt < _ATTEMPTS:
                time.sleep(max(0.0, min(pause, until - time.monotonic())))
        raise StoreUnavailable(f"Cloud Storage did not serve {what}: {reason}.")

    def _attempt(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, by: float, renew: bool
    ) -> tuple[int, bytes]:
        pool, authorization = self._connection()
        try:
            response = pool.urlopen(
                method,
                (_emulator() or HOST) + path,
                body=body,
                headers={"accept-encoding": "identity", **headers, **authorization(renew)},
                timeout=urllib3.Timeout(total=max(0.001, by - time.monotonic())),
                preload_content=False,
                redirect=False,
            )
            answer = _read(response, by)
        except GoogleAuthError as error:
            raise _Failed(f"no credentials ({type(error).__name__})") from error
        except urllib3.exceptions.HTTPError as error:
            raise _Failed(f"no whole answer ({type(error).__name__})") from error
        if response.status == 200 and not _is_whole(answer, response.headers.get("x-goog-hash", "")):
            raise _Failed("it was damaged on its way: its checksum is wrong")
        return response.status, answer

    def _connection(self) -> tuple[urllib3.PoolManager, Callable[[bool], dict[str, str]]]:
        with self._lock:
            process, pool, authorization = self._made
            if pool is None or process != os.getpid():
                pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False)
                authorization = _anonymous if _emulator() else _authorised()
                self._made = (os.getpid(), pool, authorization)
            return pool, authorization


def _read(response: urllib3.BaseHTTPResponse, by: float) -> bytes:
    """The body; the connection goes back to the pool only from its end."""
    try:
        body = b"".join(_pieces(response, by))
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return body


def _pieces(response: urllib3.BaseHTTPResponse, by: float) -> Iterator[bytes]:
    size = 0
    while piece := response.read1(_PIECE):
        size += len(piece)
        if size > MAX_BYTES:
            raise _Failed("the answer is too large")
        if time.monotonic() > by:
            raise _Failed("no whole answer in time")
        yield piece


def _is_whole(body: bytes, hashes: str) -> bool:
    """Whether the body has the checksum it came with. Cloud Storage sends MD5 for all but composite objects."""
    sums = dict(each.strip().partition("=")[::2] for each in hashes.split(",") if each)
    if "md5" in sums:
        return sums["md5"] == md5(body)
    if "crc32c" in sums:
        return sums["crc32c"] == base64.b64encode(crc32c(body).to_bytes(4, "big")).decode()
    return True


def md5(data: bytes) -> str:
    """The checksum as Cloud Storage writes it; against damage, not against people."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _emulator() -> str:
    """The emulator's address, which Google's own libraries take with and without a scheme."""
    address = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    return f"http://{address}" if address and "://" not in address else address


def _anonymous(_: bool) -> dict[str, str]:
    return {}


def _authorised() -> Callable[[bool], dict[str, str]]:
    token = AccessToken(_SCOPE)
    return lambda renew: {"authorization": f"Bearer {token.get(fresh=renew).reveal().decode()}"}
