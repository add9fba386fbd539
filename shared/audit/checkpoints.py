"""Checkpoints: what one seal adds to the trail, bound by a Merkle root, linked to the one before, and signed.

A checkpoint is one object, ``checkpoints/<number>.json``, written once::

    {"header": {…}, "manifest": [run, …], "signature": "base64", "key": "thumbprint"}

The signature is Ed25519 over ``statement(number, hash of the header's bytes)``: short, so that Cloud KMS
signs it, and the header holds the root of the manifest, the hash of the header before and those of the
tables of positions. A leaf of the tree is the chain's 16 bytes, the number in it as 8 bytes, big-endian,
and the fingerprint's 32 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from shared.audit.merkle import merkle_root
from shared.audit.record import MAX_SEQ, Hash
from shared.errors import WardgateError
from shared.identity.ed25519 import thumbprint
from shared.stores.objects import ObjectStore
from shared.stores.signers import Signature

PREFIX = "checkpoints/"

MAX_EVENTS = 4096
"""Events in one checkpoint, at most: the object stays below a megabyte, and a reader's memory is bounded."""

MAX_HEADS = 4096
"""Admission heads in one checkpoint, at most."""

_NAME = re.compile(r"checkpoints/([0-9]{16})\.json")

Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
ChainUid = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Number = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
PlainName = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{0,128}\Z")]


class Run(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Events of one chain and day whose numbers follow each other."""

    day: Day
    chain_uid: ChainUid
    first: Number
    fingerprints: list[Hash]


class AdmissionHead(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last admission number that was given out for a key in an epoch."""

    key_id: PlainName
    epoch: PlainName
    last: Number
    final: bool
    """Whether the epoch is over, so that no further number follows."""


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed of a checkpoint."""

    version: Annotated[int, Meta(ge=1, le=1)] = 1
    number: Number
    time: str
    """When it was sealed, by the sealer's clock; RFC 3339."""

    previous: Hash
    """Hash of the header before; zeros in the first."""

    size: Number
    """Events in this manifest."""

    total: Number
    """Events in all manifests up to this one."""

    root: Hash
    """RFC 6962 Merkle tree hash of the manifest."""

    scanned_from: Day
    """Where the next seal begins to look for new events."""

    positions: dict[Day, Hash]
    """SHA-256 of each table of positions, by day; see ``shared.audit.positions``."""

    epochs: Hash
    """SHA-256 of the table of epochs that are not over; zeros where there are none."""

    admission: Annotated[list[AdmissionHead], Meta(max_length=MAX_HEADS)]


class Checkpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """One checkpoint, as it is stored."""

    header: msgspec.Raw
    manifest: list[Run]
    signature: Annotated[str, Meta(max_length=128)]
    key: Annotated[str, Meta(max_length=64)]
    """Thumbprint of the key that signed it (RFC 7638): a hint, for what counts is which keys are trusted."""


@dataclass(frozen=True, slots=True)
class ReadCheckpoint:
    """A checkpoint taken apart. Nothing in it is to be believed yet."""

    header: Header
    hash: str
    """Of the header's bytes."""

    manifest: Sequence[Run]
    signature: bytes
    key: str

    def is_signed_by(self, keys: Mapping[str, bytes]) -> bool:
        """Whether one of these public keys, by their thumbprints, made the signature."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = keys.get(self.key)
        if key is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(self.signature, statement(self.header.number, self.hash))
        except InvalidSignature:
            return False
        return True

    def fits_root(self) -> bool:
        """Whether size and root are those of the manifest."""
        size = sum(len(run.fingerprints) for run in self.manifest)
        return size == self.header.size and merkle_root(leaves(self.manifest)).hex() == self.header.root


class Place(NamedTuple):
    """An event in a manifest."""

    day: str
    chain_uid: str
    seq: int
    fingerprint: str


class MalformedCheckpoint(WardgateError):
    """Not a checkpoint."""


_decode = msgspec.json.Decoder(Checkpoint).decode
_decode_header = msgspec.json.Decoder(Header).decode
_encode = msgspec.json.Encoder(order="sorted").encode


def trusted(public_keys: Sequence[bytes]) -> dict[str, bytes]:
    """Raw Ed25519 keys by their thumbprints, as ``is_signed_by`` takes them."""
    return {thumbprint(key): key for key in public_keys}


def object_name(number: int) -> str:
    """Where a checkpoint is stored."""
    return f"{PREFIX}{number:016d}.json"


def number_of(name: str) -> int | None:
    """The number in an object's name; None where it is not a checkpoint's."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def statement(number: int, header_hash: str) -> bytes:
    """The bytes that are signed. They say what they are, so that the key can sign nothing else by mistake."""
    return f"wardgate audit checkpoint {number}\n{header_hash}\n".encode()


def encode_header(header: Header) -> tuple[bytes, str]:
    """The header's bytes and their hash."""
    data = _encode(header)
    return data, hashlib.sha256(data).hexdigest()


def encode_checkpoint(header: bytes, manifest: Sequence[Run], signature: Signature) -> bytes:
    """The object of a checkpoint."""
    value = base64.b64encode(signature.value).decode()
    return _encode(Checkpoint(msgspec.Raw(header), list(manifest), value, thumbprint(signature.public_key)))


def read_checkpoint(data: bytes) -> ReadCheckpoint:
    """Take a checkpoint apart.

    Raises:
        MalformedCheckpoint: The data is none.
    """
    try:
        stored = _decode(data)
        raw = bytes(stored.header)
        header = _decode_header(raw)
        signature = base64.b64decode(stored.signature, validate=True)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise MalformedCheckpoint("The object is not a checkpoint.") from None
    return ReadCheckpoint(header, hashlib.sha256(raw).hexdigest(), stored.manifest, signature, stored.key)


def places(manifest: Sequence[Run]) -> Iterator[Place]:
    """Every event of a manifest, in its order."""
    for run in manifest:
        for seq, fingerprint in enumerate(run.fingerprints, run.first):
            yield Place(run.day, run.chain_uid, seq, fingerprint)


def leaves(manifest: Sequence[Run]) -> Iterator[bytes]:
    """The leaves of the Merkle tree."""
    for run in manifest:
        uid = bytes.fromhex(run.chain_uid)
        for seq, fingerprint in enumerate(run.fingerprints, run.first):
            yield uid + seq.to_bytes(8, "big") + bytes.fromhex(fingerprint)


def runs(sealed: Iterable[Place]) -> list[Run]:
    """Events gathered into runs, in their order."""
    gathered: list[Run] = []
    for day, uid, seq, fingerprint in sealed:
        last = gathered[-1] if gathered else None
        if last and last.day == day and last.chain_uid == uid and last.first + len(last.fingerprints) == seq:
            last.fingerprints.append(fingerprint)
        else:
            gathered.append(Run(day, uid, seq, [fingerprint]))
    return gathered


def newest(objects: ObjectStore, hint: int = 0) -> int | None:
    """The number of the newest checkpoint; None where there is none.

    Args:
        objects: Holds them.
        hint: A number that was the newest at some time; the search begins there.

    Raises:
        StoreUnavailable: The object store does not answer.
    """
    after = object_name(hint - 1) if hint else ""
    numbers = [number for name in objects.list(PREFIX, after=after) if (number := number_of(name)) is not None]
    if numbers:
        return numbers[-1]
    return newest(objects) if hint else None
