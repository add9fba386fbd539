"""Sealed content: readable with the subject's key, bound to its record, gone once the key is erased."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from shared.audit.content import (
    COLLECTION,
    MAX_TEXT_BYTES,
    Content,
    ContentGone,
    ContentSealer,
    subject_id,
)
from shared.audit.erase import erase, parse_subject
from shared.audit.port import Operator
from shared.audit.record import MAX_RECORD_BYTES, Record, is_intact, read_record
from shared.audit.wrapping import ContentUnreadable, SecretWrapper
from shared.audit.writer import ChainWriter
from shared.errors import StoreUnavailable
from shared.policy.types import Audit
from shared.stores.documents import Write
from shared.stores.secrets import Secret
from shared.stores.sqlite_documents import SqliteDocuments
from tests.support.audit_events import CALLER, NOW, ContentKeys, MemoryBus, Peppers, interaction
from tests.support.leaks import spellings
from tests.support.virtual_time import ManualClock

MARKER = "mark0123456789abcdef"
ANN = subject_id(tenant="acme", user="ann@example.com")


@pytest.fixture
def documents(tmp_path: Path) -> SqliteDocuments:
    return SqliteDocuments(tmp_path / "documents.db", timeout_seconds=2)


@pytest.fixture
def keys() -> ContentKeys:
    return ContentKeys()


@pytest.fixture
def sealer(documents: SqliteDocuments, keys: ContentKeys) -> ContentSealer:
    return ContentSealer(documents, SecretWrapper(keys))


def write(sealer: ContentSealer, mode: str = "fail_close", **changes: Any) -> Record:
    bus = MemoryBus()
    ChainWriter(bus, Peppers(), Audit(mode=mode), ManualClock(NOW), "//wardgate/guard", content=sealer).record(
        interaction(**changes)
    )
    return read_record(bus.events[-1].data)


def fresh(documents: SqliteDocuments, keys: ContentKeys) -> ContentSealer:
    """Of another process, which knows no keys yet."""
    return ContentSealer(documents, SecretWrapper(keys))


def test_what_was_sealed_can_be_opened(documents, keys, sealer) -> None:
    record = write(sealer, prompt="What is \ud800 the answer?", answer=None)
    opened = fresh(documents, keys).open(record)
    assert opened == Content("What is  the answer?", None)
    assert record.attributes["wardgate.content.subject"] == ANN
    assert fresh(documents, keys).open(write(sealer)) == Content("What is the answer?", "42")


def test_where_nothing_was_sealed_there_is_nothing_to_open(sealer) -> None:
    record = write(sealer, prompt=None, answer=None)
    assert not any(name.startswith("wardgate.content") for name in record.attributes)
    assert sealer.open(record) is None


def test_each_subject_has_a_key_of_its_own(documents, sealer) -> None:
    for caller, user in ((CALLER, "ann"), (CALLER, "bob"), (replace(CALLER, tenant="other"), "ann"), (CALLER, None)):
        write(sealer, caller=caller, user=user)
    made = list(documents.list(COLLECTION))
    assert len(made) == len({document.fields["wrapped"] for document in made}) == 4
    assert parse_subject("user:other/ann") in {document.id for document in made}
    assert parse_subject("key:key-1") == parse_subject("key-1") in {document.id for document in made}


def test_nothing_of_it_is_readable(documents, sealer, tmp_path) -> None:
    record = write(sealer, prompt=f"please {MARKER}", answer=f"so {MARKER}", user=MARKER)
    stored = json.dumps(record.attributes).encode() + (tmp_path / "documents.db").read_bytes()
    assert not [name for name, form in spellings(MARKER).items() if form in stored]
    same = [write(sealer).attributes["wardgate.content.ciphertext"] for _ in range(2)]
    assert same[0] != same[1], "equal texts cannot be recognised"


@pytest.mark.parametrize(
    "tamper",
    [
        lambda record: {"chain_uid": "f" * 32},
        lambda record: {"attributes": {**record.attributes, "wardgate.request.id": "req_other"}},
        lambda record: {"attributes": {**record.attributes, "wardgate.content.nonce": "AAAAAAAAAAAAAAAA"}},
        lambda record: {"attributes": {**record.attributes, "wardgate.content.ciphertext": "AAAA"}},
        lambda record: {"attributes": {**record.attributes, "wardgate.content.ciphertext": "no base64"}},
    ],
    ids=["another chain", "another request", "another nonce", "cut", "garbled"],
)
def test_it_is_bound_to_its_record(sealer, tamper) -> None:
    record = write(sealer)
    changed = Record(**{**{name: getattr(record, name) for name in record.__struct_fields__}, **tamper(record)})
    with pytest.raises(ContentUnreadable):
        sealer.open(changed)


def test_a_wrapped_key_is_bound_to_its_subject(documents, keys, sealer) -> None:
    write(sealer, user="bob")
    record = write(sealer)
    (other,) = (each for each in documents.list(COLLECTION) if each.id != ANN)
    key = next(each for each in documents.list(COLLECTION) if each.id == ANN).fields["key"]
    documents.commit([Write(f"{COLLECTION}/{ANN}", fields={**other.fields, "key": key})])
    with pytest.raises(ContentUnreadable):
        fresh(documents, keys).open(record)


def test_an_older_version_of_the_secret_still_opens(documents, keys, sealer) -> None:
    record = write(sealer)
    keys.versions.append(Secret(b"a key of thirty-two bytes,second"))
    assert fresh(documents, keys).open(record) == Content("What is the answer?", "42")
    assert fresh(documents, keys).open(write(fresh(documents, keys), user="bob")) is not None


class Operations:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def record_operation(self, operation: Any) -> Any:
        self.told.append((operation.action, operation.subject))


def test_what_was_erased_is_gone_and_its_record_still_intact(documents, keys, sealer) -> None:
    record, others = write(sealer), write(sealer, user="bob")
    trail, joe = Operations(), Operator("joe", "os_user")
    assert erase(documents, trail, joe, parse_subject("user:acme/ann@example.com")).found
    assert not erase(documents, trail, joe, ANN).found, "again does nothing"
    assert trail.told == [("content.erase", f"content:{ANN}")] * 2
    with pytest.raises(ContentGone):
        fresh(documents, keys).open(record)
    again = write(fresh(documents, keys))
    assert fresh(documents, keys).open(again) is not None
    with pytest.raises(ContentGone):
        fresh(documents, keys).open(record)
    assert fresh(documents, keys).open(others) is not None
    assert is_intact(record, msgspec.json.encode(record, order="sorted"))


@pytest.mark.parametrize("text", ["", "key:", "user:ann", "user:/ann", "user:acme/", "tenant:acme", "global:x"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give key"):
        parse_subject(text)


def test_long_texts_are_cut_and_the_event_says_so(sealer) -> None:
    record = write(sealer, prompt="é" * MAX_TEXT_BYTES, answer="x" * (MAX_TEXT_BYTES - 1))
    assert record.attributes["wardgate.content.cut"] is True
    assert len(json.dumps(record.attributes)) < MAX_RECORD_BYTES
    opened = sealer.open(record)
    assert opened == Content("é" * (MAX_TEXT_BYTES // 2), "x" * (MAX_TEXT_BYTES - 1))
    assert "wardgate.content.cut" not in write(sealer).attributes


def test_without_a_key_no_answer_or_no_copy(documents) -> None:
    class Broken(ContentKeys):
        def current(self, name: str) -> Any:
            raise StoreUnavailable("down")

    sealer = ContentSealer(documents, SecretWrapper(Broken()))
    with pytest.raises(StoreUnavailable):
        write(sealer)
    attributes = write(sealer, "best_effort").attributes
    assert attributes["wardgate.content.omitted"] == "unavailable"
    assert "wardgate.content.ciphertext" not in attributes


def test_the_writer_needs_no_cryptography_where_nothing_is_sealed() -> None:
    code = "import sys, shared.audit.writer; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
