"""Access tokens for Google's APIs, by application default credentials."""

from __future__ import annotations

import threading
from functools import partial

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.urllib3 import Request
from urllib3 import PoolManager

from shared.errors import WardgateError
from shared.stores.secrets import Secret

_TIMEOUT_SECONDS = 5.0
"""For one request to the metadata server or the token endpoint."""


class NoAccessToken(WardgateError):
    """There are no credentials, or they cannot be renewed."""


class AccessToken:
    """The access token of this process's credentials, renewed as google-auth sees fit. Safe for threads."""

    def __init__(self, scope: str) -> None:
        """
        Args:
            scope: What the token is asked for, as a URL.
        """
        self._scope = scope
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def __call__(self, *, fresh: bool = False) -> Secret:
        """The token; with ``fresh`` a new one.

        Raises:
            NoAccessToken: There is none.
        """
        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials, _ = google.auth.default(scopes=[self._scope])
                if fresh or not self._credentials.valid:
                    request = partial(Request(PoolManager()), timeout=_TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]
                    self._credentials.refresh(request)  # type: ignore[no-untyped-call]  # google-auth is half typed
            except GoogleAuthError as error:
                raise NoAccessToken("Application default credentials give no access token.") from error
            return Secret(str(self._credentials.token).encode())
