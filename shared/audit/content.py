"""The sealed copy of prompt and answer: readable only with the key of the subject that it is about.

A subject is a tenant's verified end user, or else the API key. Each has a random key of its own, which lies in the
document store wrapped (encrypted) by a key that others hold (``shared.audit.wrapping``). Content is AES-256-GCM under
the subject's key, bound to its chain and request. To erase a subject is to delete its wrapped key: what was sealed
stays in the trail, so that its chains stay whole, and nobody can open it any more once backups of the document store
have expired. A later request makes a new key.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import threading
import time
from collections import OrderedDict

import msgspec
from msgspec import Struct

from shared.audit.event import (
    CONTENT_CIPHERTEXT,
    CONTENT_KEY,
    CONTENT_NONCE,
    CONTENT_SUBJECT,
    REQUEST_ID,
    InteractionAttributes,
)
from shared.audit.port import Interaction
from shared.audit.record import Record
from shared.audit.wrapping import ContentUnreadable, KeyWrapper, Wrapped, cipher, decrypt
from shared.errors import PreconditionFailed, StoreError, StoreUnavailable, WardgateError
from shared.stores.documents import DocumentStore, Write
from shared.web.log import log

COLLECTION = "audit_subjects"

MAX_TEXT_BYTES = 60_000
"""Of a prompt and of an answer in UTF-8; what is longer is sealed up to there, and the event says so."""

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FRESH_SECONDS = 60.0
"""After so long a known key is looked up again, so that an erased one is not used further."""

_KNOWN_KEYS = 1024


class ContentGone(WardgateError):
    """The subject's key was erased, so nobody can open the content."""


class Content(Struct, frozen=True):
    """What was sealed."""

    prompt: str | None
    answer: str | None


def subject_id(*, tenant: str = "", user: str | None = None, key_id: str | None = None) -> str:
    """How a subject is called in the trail and in the document store: a hash of a tenant's user, or of a key's id."""
    name = f"user\0{tenant}\0{user}" if user is not None else f"key\0{key_id}"
    return hashlib.sha256(f"wardgate/content/1\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _SubjectKey(Struct, frozen=True):
    id: str
    key: bytes
    looked_up: float


class ContentSealer:
    """Seals and opens content. Thread-safe."""

    def __init__(self, documents: DocumentStore, wrapper: KeyWrapper) -> None:
        self._documents = documents
        self._wrapper = wrapper
        self._known: OrderedDict[str, _SubjectKey] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, attributes: InteractionAttributes, interaction: Interaction, chain_uid: str, *, must: bool) -> None:
        """Put an interaction's sealed content into its attributes; nothing where it has no text.

        Raises:
            StoreError: The key cannot be had and ``must`` says that it has to be; else the event says so.
        """
        if interaction.kept_prompt is None and interaction.kept_answer is None:
            return
        caller = interaction.caller
        user = interaction.user if interaction.user is not None else caller.user
        subject = subject_id(tenant=caller.tenant, user=user, key_id=caller.key_id)
        try:
            key = self._key_of(subject)
        except (StoreError, ContentUnreadable) as error:
            if must and isinstance(error, StoreError):
                raise
            log("WARNING", "audit.content_omitted", request_id=attributes.request_id, error=type(error).__name__)
            attributes.content_omitted = "unavailable"
            return
        texts = [_cut(interaction.kept_prompt), _cut(interaction.kept_answer)]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound_to = _bound_to(chain_uid, attributes.request_id)
        sealed = cipher(key.key).encrypt(nonce, msgspec.msgpack.encode(texts), bound_to)
        attributes.content_subject, attributes.content_key = subject, key.id
        attributes.content_nonce = base64.b64encode(nonce).decode()
        attributes.content_ciphertext = base64.b64encode(sealed).decode()
        if any(text is not None and len(text) == MAX_TEXT_BYTES for text in texts):
            attributes.content_cut = True

    def holds(self, record: Record) -> bool:
        """Whether content is sealed into a record."""
        return record.attributes.get(CONTENT_CIPHERTEXT) is not None

    def open(self, record: Record) -> Content | None:
        """The content that was sealed into a record; None where there is none.

        Raises:
            ContentGone: The subject was erased.
            ContentUnreadable: It was altered, or sealed for another record.
            StoreError: The key cannot be had now.
        """
        of = record.attributes.get
        if not self.holds(record):
            return None
        subject, key_id = str(of(CONTENT_SUBJECT)), str(of(CONTENT_KEY))
        known = self._read(subject)
        if known is None or known.id != key_id:
            raise ContentGone("The key of this content was erased.")
        try:
            nonce = base64.b64decode(str(of(CONTENT_NONCE)), validate=True)
            sealed = base64.b64decode(str(of(CONTENT_CIPHERTEXT)), validate=True)
        except ValueError:
            raise ContentUnreadable("The content is not in the form that it was sealed in.") from None
        data = decrypt(known.key, nonce, sealed, _bound_to(record.chain_uid, str(of(REQUEST_ID))))
        prompt, answer = msgspec.msgpack.decode(data, type=tuple[bytes | None, bytes | None])
        return Content(_text(prompt), _text(answer))

    def _key_of(self, subject: str) -> _SubjectKey:
        """The subject's key, made where there is none."""
        now = time.monotonic()
        with self._lock:
            known = self._known.get(subject)
        if known is not None and now - known.looked_up < _FRESH_SECONDS:
            return known
        key = self._read(subject) or self._make(subject)
        with self._lock:
            self._known[subject] = key
            self._known.move_to_end(subject)
            if len(self._known) > _KNOWN_KEYS:
                self._known.popitem(last=False)
        return key

    def _read(self, subject: str) -> _SubjectKey | None:
        document = self._documents.get(f"{COLLECTION}/{subject}")
        if document is None:
            return None
        fields = document.fields
        wrapped = Wrapped(bytes(fields["wrapped"]), int(fields["version"]))
        key = self._wrapper.unwrap(wrapped, f"{subject}/{fields['key']}".encode())
        return _SubjectKey(str(fields["key"]), key, time.monotonic())

    def _make(self, subject: str) -> _SubjectKey:
        made = _SubjectKey(secrets.token_hex(8), os.urandom(_KEY_BYTES), time.monotonic())
        wrapped = self._wrapper.wrap(made.key, f"{subject}/{made.id}".encode())
        fields = {"key": made.id, "wrapped": wrapped.wrapped, "version": wrapped.version}
        try:
            self._documents.commit([Write(f"{COLLECTION}/{subject}", fields=fields, exists=False)])
        except PreconditionFailed:  # another process has made it just now
            if (theirs := self._read(subject)) is None:
                raise StoreUnavailable("The subject's key was made and erased at the same moment.") from None
            return theirs
        return made


def _cut(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")[:MAX_TEXT_BYTES]


def _text(data: bytes | None) -> str | None:
    """Where it was cut in the middle of a character, that one is left out."""
    return None if data is None else data.decode("utf-8", "ignore")


def _bound_to(chain_uid: str, request_id: str) -> bytes:
    return f"wardgate/content/1\0{chain_uid}\0{request_id}".encode()
