"""API keys: ``wg_<id>_<secret>``, shown once and stored as a keyed hash.

The id says which version of the pepper made it and carries a truncated MAC under that version, so that
a made-up id is refused without a read of the store. The secret's 200 random bits need no slow hash;
the keyed one keeps a leaked database from being of use to anyone who lacks the pepper.

Every request reads the key's document, so that a revocation holds from the next request on.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from shared.clock import Clock, utc
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
from shared.stores.documents import Document, DocumentStore, Write
from shared.stores.secrets import Secret

PEPPER: Final = "api-key-pepper"
"""The secret that ids and hashes are keyed with."""

PREFIX: Final = "wg_"
"""What every API key starts with."""

_COLLECTION = "keys"
_TENANT = re.compile("[a-z0-9][a-z0-9._-]{0,62}")
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_VERSION_BYTES, _RANDOM_BYTES, _MAC_BYTES, _SECRET_BYTES = 2, 8, 5, 25
_ID_CHARACTERS, _SECRET_CHARACTERS = 24, 40
"""Both are whole groups of base32, so that each has exactly one spelling and no padding."""

_MISSING_SECONDS = 60.0
_MISSING_CAPACITY = 4096
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


@dataclass(frozen=True, slots=True)
class KeyRecord:
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


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made."""

    record: KeyRecord
    key: str = field(repr=False)
    """The key itself. It is stored nowhere: show it once."""


class _Parsed(NamedTuple):
    id: str
    pepper: int
    """Version of the pepper that the id's MAC was made with."""

    tagged: bytes
    """What the MAC covers."""

    mac: bytes


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
        now = utc(self._clock)
        _check(tenant, name, scopes, not_after, now)
        pepper = self._current_pepper()
        tagged = pepper.number.to_bytes(_VERSION_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
        key_id = _base32(tagged + _id_mac(pepper.secret, tagged))
        key = f"{PREFIX}{key_id}_{_base32(secrets.token_bytes(_SECRET_BYTES))}"
        record = KeyRecord(key_id, tenant, name, frozenset(scopes), now, not_after, None)
        fields = {
            "hash": _key_hash(pepper.secret, key),
            "pepper": pepper.number,
            "tenant": tenant,
            "name": name,
            "scopes": sorted(scopes),
            "created_at": now,
            "not_after": not_after,
            "revoked_at": None,
        }
        try:
            self._documents.commit([Write(_path(key_id), fields, exists=False)])
        except StoreUnavailable as error:
            raise _store_unavailable() from error
        return NewKey(record, key)

    def list(self) -> Iterator[KeyRecord]:
        """All keys, also expired and revoked ones, by id.

        Raises:
            StoreUnavailable: The document store does not answer.
        """
        after = ""
        while page := list(self._documents.list(_COLLECTION, after=after)):
            yield from map(_record, page)
            after = page[-1].id

    def revoke(self, key_id: str) -> KeyRecord:
        """Refuse a key from now on; its record stays. Revoking it again changes nothing.

        Raises:
            NotFound: There is no such key.
            StoreUnavailable: The document store does not answer.
        """
        document = self._documents.get(_path(key_id)) if _ALPHABET.issuperset(key_id) and key_id else None
        if document is None:
            raise NotFound("There is no API key with this id.", code="key_not_found")
        if document.fields["revoked_at"] is None:
            revoked = {"revoked_at": utc(self._clock)}
            self._documents.commit([Write(document.path, revoked, exists=True)])
            document = Document(document.path, {**document.fields, **revoked}, document.updated_at)
        return _record(document)

    def authenticate(self, token: str) -> Caller:
        """Who holds this key.

        Raises:
            Unauthenticated: ``invalid_api_key``; or, only for a key whose secret is right,
                ``revoked_api_key`` or ``expired_api_key``.
            ServiceUnavailable: The pepper does not exist yet (``not_ready``) or a store does not answer.
        """
        parsed = _parse(token)
        if parsed is None or not self._is_ours(parsed) or parsed.id in self._missing:
            raise _invalid()
        try:
            document = self._documents.get(_path(parsed.id))
        except StoreUnavailable as error:
            raise _store_unavailable() from error
        if document is None:
            self._missing.add(parsed.id, _MISSING_SECONDS)
            raise _invalid()
        pepper = self._pepper(document.fields["pepper"])
        if pepper is None or not hmac.compare_digest(_key_hash(pepper, token), document.fields["hash"]):
            raise _invalid()
        record = _record(document)
        if record.revoked_at is not None:
            raise Unauthenticated("This API key has been revoked.", code="revoked_api_key")
        if record.not_after is not None and record.not_after <= utc(self._clock):
            raise Unauthenticated("This API key has expired.", code="expired_api_key")
        return Caller(record.tenant, record.id, "api_key", record.scopes)

    def _is_ours(self, parsed: _Parsed) -> bool:
        """Whether the id's MAC is right, so that the id was made here. Reads no document."""
        # One ahead of the current version: another process may have learnt of a rotation before this one.
        if not 1 <= parsed.pepper <= self._current_pepper().number + 1:
            return False
        pepper = self._pepper(parsed.pepper)
        return pepper is not None and hmac.compare_digest(_id_mac(pepper, parsed.tagged), parsed.mac)

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
            raise _store_unavailable() from error

    def _current_pepper(self) -> Pepper:
        try:
            return self._peppers.current(PEPPER)
        except SecretNotFound as error:
            raise ServiceUnavailable(
                "Wardgate is not ready: its secrets have not been made yet.", code="not_ready"
            ) from error
        except StoreUnavailable as error:
            raise _store_unavailable() from error


def _parse(token: str) -> _Parsed | None:
    key_id, separator, secret = token.removeprefix(PREFIX).partition("_")
    if (
        not token.startswith(PREFIX)
        or not separator
        or len(key_id) != _ID_CHARACTERS
        or len(secret) != _SECRET_CHARACTERS
        or not _ALPHABET.issuperset(key_id)
        or not _ALPHABET.issuperset(secret)
    ):
        return None
    data = base64.b32decode(key_id.upper())
    tagged, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    return _Parsed(key_id, int.from_bytes(tagged[:_VERSION_BYTES], "big"), tagged, mac)


def _id_mac(pepper: Secret, tagged: bytes) -> bytes:
    return hmac.digest(_derive(pepper, b"wardgate api key id v1"), tagged, "sha256")[:_MAC_BYTES]


def _key_hash(pepper: Secret, key: str) -> bytes:
    """Over the whole key, so that a hash is of no use under another id."""
    return hmac.digest(_derive(pepper, b"wardgate api key hash v1"), key.encode(), "sha256")


def _derive(pepper: Secret, purpose: bytes) -> bytes:
    """A key for one purpose: the first block of HKDF-Expand with SHA-256 (RFC 5869, section 2.3)."""
    return hmac.digest(pepper.reveal(), purpose + b"\x01", "sha256")


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower()


def _path(key_id: str) -> str:
    return f"{_COLLECTION}/{key_id}"


def _record(document: Document) -> KeyRecord:
    fields: Any = document.fields
    return KeyRecord(
        id=document.id,
        tenant=fields["tenant"],
        name=fields["name"],
        scopes=frozenset(fields["scopes"]),
        created_at=fields["created_at"],
        not_after=fields["not_after"],
        revoked_at=fields["revoked_at"],
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


def _store_unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("API keys cannot be checked now; try again.", code="key_store_unavailable")
