"""Signed receipts: what was done to one request and its answer, for whoever holds the answer to check.

A receipt is a compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037). Its ``kid`` is the key's
RFC 7638 thumbprint, so a key set cannot give a key another's name. What the answer's digest covers is
defined in ``shared.guards.answer``.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import WardgateError
from shared.guards.answer import answer_digest
from shared.guards.port import GuardRun, Verdict
from shared.identity.ed25519 import thumbprint
from shared.models.wire import ChatCompletion
from shared.shapes import prepare

TYPE = "wardgate-receipt+jws"
_MOST_BYTES = 16_384
"""Longest token that is read at all."""

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ReceiptInvalid(WardgateError):
    """A receipt does not hold; the message says what about it."""


_REGISTERED = {"issuer": "iss", "issued_at": "iat", "request_id": "jti"}


class Receipt(msgspec.Struct, frozen=True, kw_only=True, rename=_REGISTERED):
    """What is signed. Claims have their registered names where there are some."""

    issuer: str = "wardgate"
    issued_at: int
    """Seconds since the Unix epoch."""

    request_id: str
    key_id: str
    """The caller's credential, as limits are counted on it."""

    policy_digest: str
    decision: str
    """How the interaction ended, as the audit trail names it: ``answered``, ``blocked`` …"""

    verdict: Verdict
    guards: tuple[GuardRun, ...]
    """What each guard did and saw, also those that did not run."""

    bytes_sent: int | None = None
    """Of the prompt's text as it came, how much went on to the model; None where the model was not asked. What guards
    put in place of what they took out is not counted."""

    bytes_returned: int | None = None
    """Of the answer's text as the model gave it, how much went on to the client, placeholders before they were turned
    back; None where there was no answer."""

    answer_sha256: str | None
    """Digest of the canonical choices in lower-case hex; None where there was no answer."""

    approvals: tuple[str, ...] = ()
    """Ids of the tool calls in the answer that wait for somebody's consent."""

    admission_mode: str | None = None
    """How the limits were held: ``normal``, or while their store failed ``failed_open``, ``local`` or ``closed``; None
    where none were charged."""

    chain_uid: str | None
    """The audit chain that the request's event is in, and …"""

    seq: int | None
    """… its number there; None where the trail did not take it."""


prepare(Receipt)


class ReceiptSigner:
    """Signs receipts with one key.

    Args:
        private_key: An Ed25519 private key, as its 32 raw bytes.

    Raises:
        ValueError: The key is not 32 bytes.
    """

    def __init__(self, private_key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self.public_key = self._key.public_key().public_bytes_raw()
        self.kid = thumbprint(self.public_key)
        self._header = _encoded(msgspec.json.encode({"alg": "EdDSA", "kid": self.kid, "typ": TYPE}))

    def sign(self, receipt: Receipt) -> str:
        """The receipt as a compact JWS, fit for a header."""
        signed = self._header + b"." + _encoded(msgspec.json.encode(receipt))
        return (signed + b"." + _encoded(self._key.sign(signed))).decode()

    def __repr__(self) -> str:
        return f"ReceiptSigner(kid={self.kid!r})"


def public_key_of(private_key: bytes) -> bytes:
    """The public key of an Ed25519 private key, both raw."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def verify_receipt(token: str, key_set: dict[str, Any], answer: ChatCompletion | None = None) -> Receipt:
    """Check a receipt, and that it belongs to ``answer`` if one is given.

    Args:
        token: The compact JWS.
        key_set: The JSON Web Key Set of the guard that is trusted, as ``/.well-known/jwks.json`` has it.
        answer: The answer as the client holds it; ``assemble`` makes one of a stream.

    Raises:
        ReceiptInvalid: Something does not hold.
    """
    if len(token) > _MOST_BYTES:
        raise ReceiptInvalid(f"The receipt is longer than {_MOST_BYTES} bytes.")
    segments = token.strip().split(".")
    if len(segments) != 3:
        raise ReceiptInvalid("The receipt is not a compact JWS of three segments.")
    header, payload, signature = (
        _decoded(segment, name) for segment, name in zip(segments, ("header", "claims", "signature"), strict=True)
    )
    kid = _checked_header(header)
    try:
        _public_key(key_set, kid).verify(signature, f"{segments[0]}.{segments[1]}".encode())
    except InvalidSignature as error:
        raise ReceiptInvalid(
            "The signature does not hold: the receipt was altered, or signed by another key."
        ) from error
    try:
        receipt = msgspec.json.decode(payload, type=Receipt)
    except _NOT_JSON as error:
        raise ReceiptInvalid(f"The claims are not those of a receipt: {error}") from error
    _check_bytes(receipt)
    _check_answer(receipt, answer)
    return receipt


def _checked_header(header: bytes) -> str:
    """The key id in a header that is a receipt's."""
    try:
        fields = msgspec.json.decode(header, type=dict[str, Any])
    except _NOT_JSON as error:
        raise ReceiptInvalid("The header is not a JSON object.") from error
    if fields.get("alg") != "EdDSA":
        raise ReceiptInvalid("The header names another algorithm than EdDSA.")
    if fields.get("typ") != TYPE:
        raise ReceiptInvalid("The header is not that of a receipt.")
    if "crit" in fields:
        raise ReceiptInvalid("The header demands an extension that receipts do not have.")
    kid = fields.get("kid")
    if not isinstance(kid, str):
        raise ReceiptInvalid("The header names no key.")
    return kid


def _public_key(key_set: dict[str, Any], kid: str) -> Ed25519PublicKey:
    """The key of that thumbprint; the name that the key set gives it is not believed."""
    keys = key_set.get("keys")
    for entry in keys if isinstance(keys, Sequence) else ():
        if isinstance(entry, dict) and entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519":
            x = entry.get("x")
            raw = _decoded(x, "key") if isinstance(x, str) else b""
            if len(raw) == 32 and thumbprint(raw) == kid:
                return Ed25519PublicKey.from_public_bytes(raw)
    raise ReceiptInvalid("The key that signed the receipt is not in the key set.")


def _check_bytes(receipt: Receipt) -> None:
    """A guard that ran has seen everything that went on in its direction."""
    for run in receipt.guards:
        went_on = receipt.bytes_sent if run.direction == "input" else receipt.bytes_returned
        if run.status == "ran" and went_on is not None and run.bytes_seen < went_on:
            raise ReceiptInvalid(f"The guard '{run.guard}' saw {run.bytes_seen} bytes, but {went_on} went on.")


def _check_answer(receipt: Receipt, answer: ChatCompletion | None) -> None:
    if answer is None:
        return
    if receipt.answer_sha256 is None:
        raise ReceiptInvalid("The receipt is for a request that got no answer.")
    if receipt.answer_sha256 != answer_digest(answer):
        raise ReceiptInvalid("The answer is not the one that the receipt was signed for.")


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decoded(segment: str, name: str) -> bytes:
    """Base64url without padding, in its only form: another spelling of the same bytes is refused."""
    try:
        data = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise ReceiptInvalid(f"The {name} is not base64url.") from error
    if _encoded(data).decode() != segment:
        raise ReceiptInvalid(f"The {name} is not base64url.")
    return data
