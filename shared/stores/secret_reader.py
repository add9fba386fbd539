"""How functions read secrets: by number through the pointer, cached, in development from the environment first."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from shared.errors import PreconditionFailed, SecretNotFound, StoreError, StoreUnavailable
from shared.stores.documents import DocumentStore
from shared.stores.secret_pointer import Pointer, read_pointer
from shared.stores.secrets import Secret, SecretStore

FRESH_SECONDS = 60.0
"""How long it may take until a new version is seen."""

GOOD_SECONDS = 600.0
"""How long a known version is still used while a store does not answer. Whatever is older than this has been
forgotten by every reader."""

RETRY_SECONDS = 1.0
"""How long a failure is remembered, so that threads waiting for a store that hangs do not each wait for it in turn."""

REFRESH_SECONDS = 0.5
"""How long after one ``refresh`` the next asks again, so that a key which is never accepted costs no read for each
request. Less than the shortest grace period, 1 s: what was current half a second ago is not revoked yet."""

_NEVER = float("-inf")


class CurrentSecret(Struct, frozen=True):
    """The version of a secret that is to be used now."""

    number: int
    secret: Secret


class SecretReader:
    """Reads secrets for a whole process; safe under threads.

    A secret's current version is the one that its pointer names. While the store cannot give that one,
    since a new version may be seen late far away from where it was made, it is the previous one. A secret
    that nothing rotates has no pointer: there it is the newest enabled version.

    One thread asks the stores when a minute has passed, while the others go on with what is known. A
    version's value never changes, so it is kept for as long as the process lives.

    In development an environment variable wins over the store: the secret's name in upper case with
    ``-`` as ``_``, such as ``OPENAI_API_KEY`` for ``openai-api-key``. It counts as version 1. In production
    environment variables are never looked at.
    """

    def __init__(
        self,
        store: SecretStore,
        documents: DocumentStore,
        environment: Literal["development", "production"],
        environ: Mapping[str, str] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            store: Where the secrets are.
            documents: Where their pointers are.
            environment: ``development`` lets environment variables win.
            environ: Looked at instead of the process's environment as it is now.
            monotonic: Seconds from any start, never backwards.
        """
        self._store = store
        self._documents = documents
        self._environ: Mapping[str, str] = {}
        if environment == "development":
            self._environ = dict(os.environ) if environ is None else environ
        self._monotonic = monotonic
        self._secrets: dict[str, _Known] = {}
        self._values: dict[tuple[str, int], Secret] = {}

    def get(self, name: str) -> Secret:
        """The current value of a secret.

        Raises:
            SecretNotFound: There is no such secret, or no version of it can be used.
            StoreUnavailable: A store does not answer, and nothing recent is known.
        """
        return self.current(name).secret

    def current(self, name: str) -> CurrentSecret:
        """The current version of a secret. Raises as ``get`` does."""
        if (given := self._given(name)) is not None:
            return CurrentSecret(1, given)
        return self._known(name).value(self._monotonic())

    def refresh(self, name: str) -> CurrentSecret:
        """The current version, asked for anew: for whoever was refused with what ``current`` gave.

        Raises as ``get`` does.
        """
        if (given := self._given(name)) is not None:
            return CurrentSecret(1, given)
        known = self._known(name)
        with known.turn:
            if self._monotonic() >= known.refreshed_at + REFRESH_SECONDS:
                self._ask(name, known)
                known.refreshed_at = self._monotonic()
        return known.value(self._monotonic())

    def previous(self, name: str) -> Secret | None:
        """The version before the current one, where there is one and it can be read; asks for no pointer."""
        known = self._secrets.get(name)
        if known is None or known.pointer.previous is None:
            return None
        try:
            return self.version(name, known.pointer.previous.number)
        except StoreError:
            return None

    def public_keys(self, name: str) -> tuple[bytes, ...]:
        """Public keys of a signing secret's versions, newest first; none where nothing rotates it.

        Raises:
            StoreUnavailable: The document store does not answer, and nothing recent is known.
        """
        if self._given(name) is not None:
            return ()
        known = self._known(name)
        known.value(self._monotonic())
        return tuple(public.key for public in known.pointer.public_keys)

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

    def _known(self, name: str) -> _Known:
        """What is known of a secret, asked for where that is too old."""
        known = self._secrets.get(name) or self._secrets.setdefault(name, _Known())
        now = self._monotonic()
        if now >= known.fresh_until and known.turn.acquire(blocking=now >= known.good_until):
            try:
                now = self._monotonic()
                if now >= known.fresh_until and now >= known.retry_at:  # else another thread has just asked
                    self._ask(name, known)
            finally:
                known.turn.release()
        return known

    def _ask(self, name: str, known: _Known) -> None:
        now = self._monotonic()
        try:
            pointer = read_pointer(self._documents, name)
            current, fresh_seconds = self._readable(name, pointer)
        except StoreError as error:
            known.failure, known.retry_at = error, now + RETRY_SECONDS
            if not isinstance(error, StoreUnavailable):
                known.good_until = _NEVER  # the store has answered: what was known is no longer true
        else:
            known.pointer, known.current = pointer, current
            known.fresh_until, known.good_until = now + fresh_seconds, now + GOOD_SECONDS

    def _readable(self, name: str, pointer: Pointer) -> tuple[CurrentSecret, float]:
        """The one place that knows which version is current; and for how long that is believed."""
        if pointer.current is None:
            number = self._newest_enabled(name)
            return CurrentSecret(number, self.version(name, number)), FRESH_SECONDS
        try:
            number = pointer.current.number
            return CurrentSecret(number, self.version(name, number)), FRESH_SECONDS
        except (SecretNotFound, PreconditionFailed):
            if pointer.previous is None:
                raise
            number = pointer.previous.number
            return CurrentSecret(number, self.version(name, number)), RETRY_SECONDS

    def _newest_enabled(self, name: str) -> int:
        for version in self._store.versions(name):
            if version.state == "enabled":
                return version.number
        raise SecretNotFound(f"No version of secret '{name}' is enabled.")


class _Known:
    """What is known of a secret; times are those of the reader's clock."""

    __slots__ = ("current", "failure", "fresh_until", "good_until", "pointer", "refreshed_at", "retry_at", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.pointer = Pointer()
        self.current: CurrentSecret | None = None
        self.refreshed_at = self.fresh_until = self.good_until = self.retry_at = _NEVER
        self.failure: StoreError = StoreUnavailable("The secret has not been read yet.")

    def value(self, now: float) -> CurrentSecret:
        if self.current is not None and now < self.good_until:
            return self.current
        raise type(self.failure)(*self.failure.args) from self.failure
