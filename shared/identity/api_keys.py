"""API keys: made, listed, revoked and checked. ``shared.identity.key_format`` has what they look like.

A made-up key is refused without a read. One whose id was made here costs one read, at every request, so
that a revocation holds from the next request on. Checking a key writes nothing, but for the first check
after a rotation of the pepper, which renews the stored hash.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from shared.clock import Clock, utc
from shared.discreet import Discreet
from shared.errors import (
    BadRequest,
    NotFound,
    PreconditionFailed,
    SecretNotFound,
    ServiceUnavailable,
    StoreUnavailable,
    Unauthenticated,
)
from shared.identity.caller import DEFAULT_SCOPES, SCOPES, Caller
from shared.identity.expiring import ExpiringSet
from shared.identity.key_format import ParsedKey, is_key_id, key_hash, new_key, parse_key, pepper_of_id
from shared.identity.key_secrets import StoredSecret, secret_fields, stored_secrets
from shared.stores.documents import Document, DocumentStore, Write
from shared.stores.secrets import Secret

PEPPER: Final = "api-key-pepper"
"""The secret that ids and hashes are keyed with."""

_COLLECTION = "keys"
_TENANT = re.compile("[a-z0-9][a-z0-9._-]{0,62}")
_MISSING_SECONDS = 60.0
_MISSING_CAPACITY = 4096
_AHEAD = 8
"""How far a key's pepper may be ahead of the version that this process takes for the current one: another process
may have learnt of a rotation before this one, and attempts that were given up have used numbers too."""

_REFUSED_VERSION_SECONDS = 10.0
"""Short, since a version that is refused now may be one that another process has just added."""


class Pepper(Protocol):
    """The current version of a pepper."""

    @property
    def number(self) -> int: ...

    @property
    def secret(self) -> Secret: ...


class Peppers(Protocol):
    """Reads secrets by version; its answers are cached, since it is asked on every request.

    Both methods raise ``SecretNotFound`` for what does not exist, ``PreconditionFailed`` for a version
    that is disabled or destroyed, and ``StoreUnavailable``.
    """

    def current(self, name: str) -> Pepper:
        """The version that new hashes are made with."""

    def version(self, name: str, number: int) -> Secret:
        """The value of one version."""


class KeyRecord(Struct, frozen=True):
    """An API key as it is listed: everything but the key."""

    id: str
    tenant: str
    name: str
    """What the operator calls it."""

    scopes: frozenset[str]
    created_at: datetime
    not_after: datetime | None
    """When it expires; None: never. Not ``expires_at``, at which the store would delete the record."""

    revoked_at: datetime | None
    by_rotation: bool = False
    """Whether rotation makes its secrets, into a secret of the secret store."""

    older_until: datetime | None = None
    """Until when an older secret is good beside the newest; None: there is none, or rotation ends it."""


class NewKey(Discreet, Struct, frozen=True):
    """A key that was just made."""

    record: KeyRecord
    key: str
    """The key itself. It is stored nowhere: show it once."""


class ApiKeys:
    """Makes, lists, revokes and checks API keys."""

    def __init__(self, documents: DocumentStore, peppers: Peppers, clock: Clock) -> None:
        self._documents = documents
        self._peppers = peppers
        self._clock = clock
        self._missing: ExpiringSet[str] = ExpiringSet(_MISSING_CAPACITY, clock)
        self._refused_versions: ExpiringSet[int] = ExpiringSet(64, clock)

    def create(
        self,
        tenant: str,
        name: str,
        scopes: Collection[str] = DEFAULT_SCOPES,
        not_after: datetime | None = None,
    ) -> NewKey:
        """Make a key.

        Args:
            tenant: The tenant that its callers belong to.
            name: What to call it in lists, at most 100 characters.
            scopes: What it may do; see ``shared.identity.caller.SCOPES``.
            not_after: When it expires, with a time zone; None: never.

        Raises:
            BadRequest: An argument is wrong; ``param`` names it.
            ServiceUnavailable: The pepper does not exist yet (``not_ready``) or a store does not answer.
        """
        pepper = current_pepper(self._peppers)
        key = new_key(pepper.number, pepper.secret)
        secret = StoredSecret(key_hash(pepper.secret, key), pepper.number)
        record = self._add(key.split("_")[1], tenant, name, scopes, not_after, [secret])
        return NewKey(record, key)

    def reserve(
        self,
        tenant: str,
        name: str,
        scopes: Collection[str] = DEFAULT_SCOPES,
        not_after: datetime | None = None,
    ) -> KeyRecord:
        """Make a key that has no secret yet: rotation makes them. Arguments and errors as of ``create``."""
        pepper = current_pepper(self._peppers)
        key_id = new_key(pepper.number, pepper.secret).split("_")[1]
        return self._add(key_id, tenant, name, scopes, not_after, [])

    def _add(
        self,
        key_id: str,
        tenant: str,
        name: str,
        scopes: Collection[str],
        not_after: datetime | None,
        secrets: list[StoredSecret],
    ) -> KeyRecord:
        now = utc(self._clock)
        _check(tenant, name, scopes, not_after, now)
        record = KeyRecord(key_id, tenant, name, frozenset(scopes), now, not_after, None, by_rotation=not secrets)
        fields = {
            **secret_fields(secrets),
            "tenant": tenant,
            "name": name,
            "scopes": sorted(record.scopes),
            "created_at": now,
            "not_after": not_after,
            "revoked_at": None,
            "by_rotation": record.by_rotation,
        }
        try:
            self._documents.commit([Write(key_path(key_id), fields, exists=False)])
        except StoreUnavailable as error:
            raise key_store_unavailable() from error
        return record

    def list(self) -> Iterator[KeyRecord]:
        """All keys, also expired and revoked ones, by id.

        Raises:
            StoreUnavailable: The document store does not answer.
        """
        after = ""
        while page := list(self._documents.list(_COLLECTION, after=after)):
            yield from map(key_record, page)
            after = page[-1].id

    def revoke(self, key_id: str) -> KeyRecord:
        """Refuse a key from now on; its record stays. Revoking it again changes nothing.

        Raises:
            NotFound: There is no such key.
            StoreUnavailable: The document store does not answer.
        """
        document = key_document(self._documents, key_id)
        if document.fields["revoked_at"] is None:
            revoked = {"revoked_at": utc(self._clock)}
            self._documents.commit([Write(document.path, revoked, exists=True)])
            document = Document(document.path, {**document.fields, **revoked}, document.updated_at)
        return key_record(document)

    def authenticate(self, token: str) -> Caller:
        """Who holds this key.

        Raises:
            Unauthenticated: ``invalid_api_key``; or, only for a key whose secret is right,
                ``revoked_api_key`` or ``expired_api_key``.
            ServiceUnavailable: The pepper does not exist yet (``not_ready``) or a store does not answer.
        """
        parsed = parse_key(token)
        if parsed is None or not self._is_ours(parsed) or parsed.id in self._missing:
            raise _invalid()
        try:
            document = self._documents.get(key_path(parsed.id))
        except StoreUnavailable as error:
            raise key_store_unavailable() from error
        if document is None:
            self._missing.add(parsed.id, _MISSING_SECONDS)
            raise _invalid()
        secret = next((one for one in stored_secrets(document.fields) if self._is_of(one, token)), None)
        if secret is None:
            raise _invalid()
        record, now = key_record(document), utc(self._clock)
        if record.revoked_at is not None:
            raise Unauthenticated("This API key has been revoked.", code="revoked_api_key")
        if not secret.is_live(now):
            raise Unauthenticated("This API key has been replaced by a newer one.", code="revoked_api_key")
        if record.not_after is not None and record.not_after <= now:
            raise Unauthenticated("This API key has expired.", code="expired_api_key")
        self._renew(document, secret, token)
        return Caller(record.tenant, record.id, "api_key", record.scopes)

    def _is_of(self, secret: StoredSecret, token: str) -> bool:
        pepper = self._pepper(secret.pepper)
        return pepper is not None and hmac.compare_digest(key_hash(pepper, token), secret.hash)

    def _renew(self, document: Document, secret: StoredSecret, token: str) -> None:
        """Store the hash under the current pepper, so that older ones are referred to no more.

        A process that has not learnt of a rotation yet must not undo this, so only towards higher versions.
        """
        current = current_pepper(self._peppers)
        if secret.pepper >= current.number:
            return
        renewed = replace(secret, hash=key_hash(current.secret, token), pepper=current.number)
        fields = secret_fields([renewed if one == secret else one for one in stored_secrets(document.fields)])
        # Somebody else has renewed or revoked it, or it cannot be done now: the key is good all the same.
        with suppress(PreconditionFailed, StoreUnavailable):
            self._documents.commit([Write(document.path, fields, updated_at=document.updated_at)])

    def _is_ours(self, parsed: ParsedKey) -> bool:
        """Whether the id's MAC is right, so that the id was made here. Reads no document."""
        if not 1 <= parsed.pepper <= current_pepper(self._peppers).number + _AHEAD:
            return False
        pepper = self._pepper(parsed.pepper)
        return pepper is not None and parsed.is_ours(pepper)

    def _pepper(self, number: int) -> Secret | None:
        """One version of the pepper, or None where it cannot be used. Refusals are remembered for a while."""
        if number in self._refused_versions:
            return None
        try:
            return self._peppers.version(PEPPER, number)
        except (SecretNotFound, PreconditionFailed):
            self._refused_versions.add(number, _REFUSED_VERSION_SECONDS)
            return None
        except StoreUnavailable as error:
            raise key_store_unavailable() from error


def current_pepper(peppers: Peppers) -> Pepper:
    """The version of the pepper that new hashes are made with.

    Raises:
        ServiceUnavailable: It does not exist yet (``not_ready``), or a store does not answer.
    """
    try:
        return peppers.current(PEPPER)
    except (SecretNotFound, PreconditionFailed) as error:
        raise ServiceUnavailable(
            "Wardgate is not ready: its secrets have not been made yet.", code="not_ready"
        ) from error
    except StoreUnavailable as error:
        raise key_store_unavailable() from error


def peppers_in_use(documents: DocumentStore, clock: Clock) -> set[int]:
    """The pepper's versions that some key needs which is neither revoked nor expired.

    Those are the versions its hashes name, and the one its id was made with: without it the id would not be
    known as ours. Holders cannot be given another id, so a key without an end holds on to that one.

    Raises:
        StoreUnavailable: The document store does not answer.
    """
    now, after, needed = utc(clock), "", set()
    while page := list(documents.list(_COLLECTION, after=after)):
        for document in page:
            record = key_record(document)
            if record.revoked_at is None and (record.not_after is None or now < record.not_after):
                secrets = stored_secrets(document.fields)
                needed |= {pepper_of_id(document.id), *(secret.pepper for secret in secrets if secret.is_live(now))}
        after = page[-1].id
    return needed


def key_path(key_id: str) -> str:
    """Path of a key's document."""
    return f"{_COLLECTION}/{key_id}"


def key_document(documents: DocumentStore, key_id: str) -> Document:
    """A key's document.

    Raises:
        NotFound: There is no such key.
        StoreUnavailable: The document store does not answer.
    """
    document = documents.get(key_path(key_id)) if is_key_id(key_id) else None
    if document is None:
        raise NotFound("There is no API key with this id.", code="key_not_found")
    return document


def key_record(document: Document) -> KeyRecord:
    """What a key's document says of it."""
    fields: Any = document.fields
    return KeyRecord(
        id=document.id,
        tenant=fields["tenant"],
        name=fields["name"],
        scopes=frozenset(fields["scopes"]),
        created_at=fields["created_at"],
        not_after=fields["not_after"],
        revoked_at=fields["revoked_at"],
        by_rotation=fields.get("by_rotation", False),
        older_until=max((one["until"] for one in fields.get("older", ()) if one["until"] is not None), default=None),
    )


def _check(tenant: str, name: str, scopes: Collection[str], not_after: datetime | None, now: datetime) -> None:
    if not _TENANT.fullmatch(tenant):
        raise BadRequest("A tenant is 1 to 63 lower-case letters, digits, '.', '_' or '-'.", param="tenant")
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise BadRequest("A name is 1 to 100 printable characters.", param="name")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise BadRequest(f"Scopes are one or more of {', '.join(SCOPES)}.", param="scopes")
    if not_after is not None and (not_after.tzinfo is None or not_after <= now):
        raise BadRequest("The expiry is a time in the future, with its time zone.", param="not_after")


def _invalid() -> Unauthenticated:
    return Unauthenticated("The API key is not valid.", code="invalid_api_key")


def key_store_unavailable() -> ServiceUnavailable:
    """What is said while the store of keys does not answer."""
    return ServiceUnavailable("API keys cannot be checked now; try again.", code="key_store_unavailable")
