"""An OAuth 2.0 access token by application default credentials, renewed as google-auth sees fit."""

from __future__ import annotations

import threading
from functools import partial

import google.auth
from google.auth.credentials import Credentials
from google.auth.transport.urllib3 import Request
from urllib3 import PoolManager

from shared.stores.secrets import Secret

_TIMEOUT_SECONDS = 5.0
"""For one request to the metadata server or the token endpoint."""


class AccessToken:
    """The process's token for one scope. Safe for threads; make it after the fork."""

    def __init__(self, scope: str) -> None:
        """Asks for nothing yet."""
        self._scope = scope
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def get(self, *, fresh: bool = False) -> Secret:
        """The token; with ``fresh`` a new one.

        Raises:
            google.auth.exceptions.GoogleAuthError: There are no credentials, or they cannot be renewed.
        """
        with self._lock:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[self._scope])
            if fresh or not self._credentials.valid:
                request = partial(Request(PoolManager()), timeout=_TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]
                self._credentials.refresh(request)  # type: ignore[no-untyped-call]  # google-auth is half typed
            return Secret(str(self._credentials.token).encode())
