"""Another secret for an API key that keeps its id, and so its limits, its name and its history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from msgspec.structs import replace

from shared.clock import Clock, utc
from shared.errors import BadRequest, Conflict, PreconditionFailed, ServiceUnavailable, StoreUnavailable
from shared.identity.api_keys import (
    NewKey,
    Peppers,
    current_pepper,
    key_document,
    key_record,
    key_store_unavailable,
)
from shared.identity.key_format import key_hash, with_new_secret
from shared.identity.key_secrets import StoredSecret, secret_fields, stored_secrets
from shared.stores.documents import Document, DocumentStore, Write

MOST_SECRETS = 4
"""Live secrets of one key: those before and after a rotation, and what attempts that died have left."""

LONGEST_GRACE = timedelta(days=30)
"""As the policy's for other secrets."""

_TRIES = 5
"""A write gives way to others, which a key that is just renewed or revoked brings about."""


class KeyRotation:
    """Adds and ends secrets of API keys. Every method raises:

    - ``NotFound``: there is no such key;
    - ``Conflict``: the key is revoked or has expired, or what the method says;
    - ``ServiceUnavailable``: the pepper does not exist yet, or a store does not answer.
    """

    def __init__(self, documents: DocumentStore, peppers: Peppers, clock: Clock) -> None:
        self._documents = documents
        self._peppers = peppers
        self._clock = clock

    def replace(self, key_id: str, grace: timedelta) -> NewKey:
        """Give a key another secret, for a person to hand on.

        Args:
            key_id: Which key.
            grace: How long the one before stays good; zero ends all others at once.

        Raises:
            BadRequest: ``grace`` is longer than 30 days.
            Conflict: ``in_grace``: two are live already; ``by_rotation``: rotation makes this key's secrets.
        """
        if grace > LONGEST_GRACE:
            raise BadRequest(f"A grace period has at most {LONGEST_GRACE.days} days.", param="grace")
        now = utc(self._clock)
        key = with_new_secret(key_id)

        def change(document: Document) -> Sequence[StoredSecret]:
            if key_record(document).by_rotation:
                problem = "Rotation makes this key's secrets: use `wardgate rotate run --now --secret NAME`."
                raise Conflict(problem, code="by_rotation")
            live = [secret for secret in stored_secrets(document.fields) if secret.is_live(now)]
            if grace and len(live) > 1:
                problem = (
                    "The key is in a grace period: two of its secrets are good, and no third is made before its end."
                )
                raise Conflict(problem, code="in_grace")
            kept = [replace(secret, until=now + grace) for secret in live] if grace else []
            return [self._stored(key), *kept]

        return NewKey(key_record(self._change(key_id, change)), key)

    def add(self, key_id: str, attempt: str) -> str:
        """Make one more secret, good until ``end``; the whole key.

        Raises:
            Conflict: ``too_many_secrets``.
        """
        key = with_new_secret(key_id)

        def change(document: Document) -> Sequence[StoredSecret]:
            secrets = stored_secrets(document.fields)
            if len(secrets) >= MOST_SECRETS:
                raise Conflict(f"The key has {MOST_SECRETS} secrets, and takes no more.", code="too_many_secrets")
            return [self._stored(key, attempt), *secrets]

        self._change(key_id, change)
        return key

    def end(self, key_id: str, attempt: str) -> None:
        """End the secret that an attempt made. One that is gone is no error."""
        self._change(
            key_id,
            lambda document: [one for one in stored_secrets(document.fields) if one.attempt != attempt],
            also_dead=True,
        )

    def attempts(self, key_id: str) -> list[str | None]:
        """The attempts that made the secrets, the newest first; None: people did."""
        try:
            return [secret.attempt for secret in stored_secrets(key_document(self._documents, key_id).fields)]
        except StoreUnavailable as error:
            raise key_store_unavailable() from error

    def _stored(self, key: str, attempt: str | None = None) -> StoredSecret:
        pepper = current_pepper(self._peppers)
        return StoredSecret(key_hash(pepper.secret, key), pepper.number, attempt=attempt)

    def _change(
        self, key_id: str, change: Callable[[Document], Sequence[StoredSecret]], *, also_dead: bool = False
    ) -> Document:
        """Write what ``change`` makes of a key's secrets, unless somebody has changed the key meanwhile."""
        try:
            for _ in range(_TRIES):
                document = key_document(self._documents, key_id)
                self._check(document, also_dead=also_dead)
                fields = secret_fields(change(document))
                try:
                    self._documents.commit([Write(document.path, fields, updated_at=document.updated_at)])
                except PreconditionFailed:
                    continue
                return Document(document.path, {**document.fields, **fields}, document.updated_at)
        except StoreUnavailable as error:
            raise key_store_unavailable() from error
        raise ServiceUnavailable("The key is being changed by others; try again.", code="key_store_unavailable")

    def _check(self, document: Document, *, also_dead: bool) -> None:
        record = key_record(document)
        if also_dead:
            return
        if record.revoked_at is not None:
            raise Conflict("The key is revoked; make another.", code="revoked_api_key")
        if record.not_after is not None and record.not_after <= utc(self._clock):
            raise Conflict("The key has expired; make another.", code="expired_api_key")
