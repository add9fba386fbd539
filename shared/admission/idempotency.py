"""``Idempotency-Key``: a client's retry is charged once and gets the same answer.

One document for each caller's key, changed only by compare-and-set, so that of two processes with
the same key one runs and the other is told to wait::

    absent ──▶ in_flight ──▶ done      the answer is kept, sealed, for ten minutes
                   ├───────▶ failed    charged, but no answer left: the next attempt is not charged
                   └───────▶ absent    nothing was charged

A process that dies leaves ``in_flight`` behind; its lease ends by itself, and the next attempt is not
charged. That is bounded: after three free attempts the next one is charged like a new request, so a
prompt that makes the model fail cannot be run for ever at the price of one. Answers that were not
kept (interrupted streams, answers over 256 KiB) make a later retry a new, charged request.

What is stored cannot be read with what the store holds: the answer is sealed under a key derived from
the caller's credential, which Wardgate keeps only as a keyed hash, and the digest of the body, which
would betray a short prompt, is keyed the same way. A retry with another credential of the same caller
(a refreshed token) can therefore not be matched, and is a new, charged request.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from shared.clock import Clock
from shared.discreet import Discreet
from shared.errors import BadRequest, Conflict, PreconditionFailed, StoreError
from shared.identity.caller import Caller
from shared.later import Later
from shared.stores.documents import Delete, Document, DocumentStore, Write
from shared.stores.secrets import Secret
from shared.web.log import log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COLLECTION = "idempotency"
MAX_ANSWER_BYTES = 256 * 1024
KEPT_SECONDS = 600

_FREE_ATTEMPTS = 3
_LEASE_MARGIN_SECONDS = 5
"""Beyond the request's own deadline, so that an attempt has ended before another may take its place."""

_RACES = 3
"""How often to look again where another process was faster."""

_SECOND = 1_000_000_000
_NONCE_BYTES = 12
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class StoredAnswer(Discreet, Struct, frozen=True):
    """An answer as it was given."""

    status: int
    content_type: str
    body: bytes
    receipt: str = ""
    """The header that the answer had; empty where its receipt is in the body, or it had none."""


class _Keys(Struct, frozen=True):
    """What is derived from the credential and the idempotency key."""

    tag: bytes
    """Tells whether the credential is the one that wrote the document."""

    digest: bytes
    """Of the request's body."""

    seal: bytes


class Handle(Discreet, Struct, frozen=True):
    """An attempt that has to be ended by ``finish``, ``fail`` or ``abandon``."""

    path: str
    updated_at: int
    free_attempts: int
    keys: _Keys


class Fresh(Struct, frozen=True):
    """Nothing is known of this key, or nothing that can be given again: run and charge."""

    handle: Handle


class Retry(Struct, frozen=True):
    """An earlier attempt was charged and gave no answer: run and do not charge again."""

    handle: Handle


class Replay(Struct, frozen=True):
    """An earlier attempt was answered: give the same answer."""

    stored: StoredAnswer


class Idempotency:
    """Remembers requests by their ``Idempotency-Key``. Thread-safe.

    ``begin`` before the limits are charged; then exactly one of ``finish`` (an answer left, be it an
    error that is final, or a part of a stream), ``fail`` (charged, and no byte of an answer left) and
    ``abandon`` (nothing was charged, as after a denied limit). What was charged for an attempt that
    ends in ``fail`` must not be refunded, since the retry is free.
    """

    def __init__(self, documents: DocumentStore, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def begin(
        self, caller: Caller, key: str, body_digest: bytes, credential: Secret, lease_seconds: float
    ) -> Fresh | Retry | Replay:
        """Claim the key for one attempt, or find what came of an earlier one.

        Args:
            caller: Whose key it is; two callers' keys never meet.
            key: The header's value.
            body_digest: SHA-256 over what makes two requests the same: route and body.
            credential: As the caller presented it; the stored answer can be read with it alone.
            lease_seconds: The longest that the attempt may take.

        Raises:
            BadRequest: The key is empty, longer than 255 characters or not visible ASCII.
            Conflict: ``idempotency_in_progress`` while another attempt runs (SDKs retry), or
                ``idempotency_key_reuse`` where the key came with another body (final).
            StoreUnavailable: The store does not answer.
        """
        if not _KEY.fullmatch(key):
            raise BadRequest(
                "Idempotency-Key must be 1 to 255 visible ASCII characters.",
                code="invalid_idempotency_key",
                param="idempotency-key",
            )
        path = _path(caller, key)
        keys = _derive(credential, path, body_digest)
        lease = int((lease_seconds + _LEASE_MARGIN_SECONDS) * _SECOND)
        for _ in range(_RACES):
            try:
                return Fresh(self._claim(path, keys, lease, free_attempts=0, exists=False))
            except PreconditionFailed:
                found = self._documents.get(path)
            try:
                if found is not None:
                    return self._continue(found, keys, lease)
            except PreconditionFailed:
                continue
        raise _in_progress()

    def finish(self, handle: Handle, stored: StoredAnswer | None) -> None:
        """An answer left; keep it for a retry, unless it is None or larger than 256 KiB. Never raises."""
        fields: dict[str, Any] = {**_made_by(handle.keys), "state": "done"}
        if stored is not None and len(stored.body) <= MAX_ANSWER_BYTES:
            fields |= {
                "status": stored.status,
                "content_type": stored.content_type,
                "sealed": _seal(handle, stored),
            }
        self._end(handle, fields)

    def fail(self, handle: Handle) -> None:
        """The attempt was charged and no byte of an answer left: the next one is free. Never raises."""
        self._end(handle, {**_made_by(handle.keys), "state": "failed", "free_attempts": handle.free_attempts})

    def abandon(self, handle: Handle) -> None:
        """Nothing was charged: forget the attempt. Never raises."""
        self._commit_end(Delete(handle.path, updated_at=handle.updated_at))

    def _continue(self, found: Document, keys: _Keys, lease: int) -> Fresh | Retry | Replay:
        """Go on from what is known of the key.

        Raises:
            PreconditionFailed: Another process was faster.
        """
        fields, now = found.fields, self._clock.time_ns()
        running = fields["state"] == "in_flight" and now < fields["lease_until"]
        same_credential = hmac.compare_digest(fields["credential"], keys.tag)
        expired = fields["expires_at"].timestamp() * _SECOND <= now
        if same_credential and not expired and not hmac.compare_digest(fields["digest"], keys.digest):
            raise Conflict(
                "The Idempotency-Key was used with another body; use a new key for a new request.",
                code="idempotency_key_reuse",
                param="idempotency-key",
                headers={"x-should-retry": "false"},
            )
        if running:
            raise _in_progress()
        free_attempts = 0
        if same_credential and not expired:
            if fields["state"] == "done" and (stored := _unseal(found, keys)):
                return Replay(stored)
            if fields["state"] != "done" and fields["free_attempts"] < _FREE_ATTEMPTS:
                free_attempts = fields["free_attempts"] + 1
        handle = self._claim(found.path, keys, lease, free_attempts=free_attempts, updated_at=found.updated_at)
        return Retry(handle) if free_attempts else Fresh(handle)

    def _claim(
        self,
        path: str,
        keys: _Keys,
        lease: int,
        *,
        free_attempts: int,
        exists: bool | None = None,
        updated_at: int | None = None,
    ) -> Handle:
        until = self._clock.time_ns() + lease
        fields = {
            **_made_by(keys),
            "state": "in_flight",
            "free_attempts": free_attempts,
            "lease_until": until,
            "expires_at": _kept_from(until),
        }
        write = Write(path, fields=fields, replace=True, exists=exists, updated_at=updated_at)
        done = self._documents.commit([write])
        return Handle(path, done.results[0].updated_at, free_attempts, keys)

    def _end(self, handle: Handle, fields: dict[str, Any]) -> None:
        fields["expires_at"] = _kept_from(self._clock.time_ns())
        self._commit_end(Write(handle.path, fields=fields, replace=True, updated_at=handle.updated_at))

    def _commit_end(self, write: Write | Delete) -> None:
        """The answer is on its way; a record that cannot be changed now ends with its lease."""
        try:
            self._documents.commit([write])
        except StoreError as error:
            log("WARNING", "idempotency.end_failed", error=type(error).__name__)


def _in_progress() -> Conflict:
    return Conflict(
        "A request with this Idempotency-Key is still running; ask again in a moment.",
        code="idempotency_in_progress",
        param="idempotency-key",
        headers={"retry-after": "1"},
    )


def _kept_from(now: int) -> datetime:
    return datetime.fromtimestamp(now // _SECOND + KEPT_SECONDS, UTC)


@Later
def _aes_gcm() -> type[AESGCM]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # few callers send a key

    return AESGCM


def _path(caller: Caller, key: str) -> str:
    identity = f"{caller.key_id}\0{key}"
    return f"{COLLECTION}/{hashlib.sha256(identity.encode()).hexdigest()[:40]}"


def _made_by(keys: _Keys) -> dict[str, Any]:
    return {"credential": keys.tag, "digest": keys.digest}


def _derive(credential: Secret, path: str, body_digest: bytes) -> _Keys:
    """Three independent keys by HKDF-SHA256 (RFC 5869); two of them are used up on the spot."""
    info = b"wardgate/idempotency/1\0" + path.encode()
    material = HKDF(SHA256(), length=96, salt=None, info=info).derive(credential.reveal())
    digest = hmac.digest(material[32:64], body_digest, "sha256")
    return _Keys(tag=material[:32], digest=digest, seal=material[64:])


def _seal(handle: Handle, stored: StoredAnswer) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    context = _context(handle.path, stored.status, stored.content_type)
    # The receipt is sealed too, since it holds a digest of the answer; a compact JWS has no line break.
    return nonce + _aes_gcm()(handle.keys.seal).encrypt(nonce, stored.receipt.encode() + b"\n" + stored.body, context)


def _unseal(found: Document, keys: _Keys) -> StoredAnswer | None:
    """The stored answer; None where none was kept, or it is not what was stored."""
    sealed = found.fields.get("sealed")
    if sealed is None:
        return None
    status, content_type = found.fields["status"], found.fields["content_type"]
    try:
        plain = _aes_gcm()(keys.seal).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _context(found.path, status, content_type)
        )
    except InvalidTag:
        log("ERROR", "idempotency.answer_altered")
        return None
    receipt, _, body = plain.partition(b"\n")
    return StoredAnswer(status, content_type, body, receipt.decode())


def _context(path: str, status: int, content_type: str) -> bytes:
    return f"{path}\0{status}\0{content_type}".encode()
