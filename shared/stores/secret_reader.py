"""How functions read secrets: by version number, cached, in development from an environment variable first."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.errors import SecretNotFound, StoreError, StoreUnavailable
from shared.stores.secrets import Secret, SecretStore

FRESH_SECONDS = 60.0
"""How long it may take until a new version is seen."""

GOOD_SECONDS = 600.0
"""How long a known version is still used while the store does not answer."""

RETRY_SECONDS = 1.0
"""How long a failure is remembered, so that threads waiting for a store that hangs do not each wait for it in turn."""

_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class CurrentSecret:
    """The version of a secret that is to be used now."""

    number: int
    secret: Secret


class SecretReader:
    """Reads secrets for a whole process; safe under threads.

    A secret's current version is its newest enabled one. One thread asks the store when a minute has
    passed, while the others go on with what is known. A version's value never changes, so it is kept for
    as long as the process lives.

    In development an environment variable wins over the store: the secret's name in upper case with
    ``-`` as ``_``, such as ``OPENAI_API_KEY`` for ``openai-api-key``. It counts as version 1. In production
    environment variables are never looked at.
    """

    def __init__(
        self,
        store: SecretStore,
        environment: Literal["development", "production"],
        environ: Mapping[str, str] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            store: Where the secrets are.
            environment: ``development`` lets environment variables win.
            environ: Looked at instead of the process's environment.
            monotonic: Seconds from any start, never backwards.
        """
        self._store = store
        self._environ: Mapping[str, str] = {}
        if environment == "development":
            self._environ = os.environ if environ is None else environ
        self._monotonic = monotonic
        self._current: dict[str, _Known] = {}
        self._values: dict[tuple[str, int], Secret] = {}

    def get(self, name: str) -> Secret:
        """The current value of a secret.

        Raises:
            SecretNotFound: There is no such secret, or no version of it is enabled.
            StoreUnavailable: The store does not answer, and nothing recent is known.
        """
        return self.current(name).secret

    def current(self, name: str) -> CurrentSecret:
        """The current version of a secret. Raises as ``get`` does."""
        if (given := self._given(name)) is not None:
            return CurrentSecret(1, given)
        known = self._current.get(name) or self._current.setdefault(name, _Known())
        now = self._monotonic()
        if now >= known.fresh_until and known.turn.acquire(blocking=now >= known.good_until):
            try:
                self._renew(name, known)
            finally:
                known.turn.release()
        return known.value(now)

    def version(self, name: str, number: int) -> Secret:
        """The value of one version.

        Raises:
            SecretNotFound: There is no such secret or version.
            PreconditionFailed: The version is disabled or destroyed, and was not read before.
            StoreUnavailable: The store does not answer.
        """
        if (given := self._given(name)) is not None:
            if number != 1:
                raise SecretNotFound(f"There is no version {number} of secret '{name}': it comes from the environment.")
            return given
        if (value := self._values.get((name, number))) is None:
            value = self._values[name, number] = self._store.access(name, number)
        return value

    def _given(self, name: str) -> Secret | None:
        value = self._environ.get(name.upper().replace("-", "_")) if self._environ else None
        return Secret(value.encode()) if value else None

    def _renew(self, name: str, known: _Known) -> None:
        now = self._monotonic()
        if now < known.fresh_until or now < known.retry_at:
            return  # another thread has just asked
        try:
            number = self._current_number(name)
            known.current = CurrentSecret(number, self.version(name, number))
        except StoreError as error:
            known.failure, known.retry_at = error, now + RETRY_SECONDS
            if not isinstance(error, StoreUnavailable):
                known.good_until = _NEVER  # the store has answered: what was known is no longer true
        else:
            known.fresh_until, known.good_until = now + FRESH_SECONDS, now + GOOD_SECONDS

    def _current_number(self, name: str) -> int:
        """The one place that knows which version is current."""
        for version in self._store.versions(name):
            if version.state == "enabled":
                return version.number
        raise SecretNotFound(f"No version of secret '{name}' is enabled.")


class _Known:
    """What is known of a secret's current version; times are those of the reader's clock."""

    __slots__ = ("current", "failure", "fresh_until", "good_until", "retry_at", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.current: CurrentSecret | None = None
        self.fresh_until = self.good_until = self.retry_at = _NEVER
        self.failure: StoreError = StoreUnavailable("The secret has not been read yet.")

    def value(self, now: float) -> CurrentSecret:
        if self.current is not None and now < self.good_until:
            return self.current
        raise type(self.failure)(*self.failure.args) from self.failure
