"""From URIs to adapters, and what is imported for each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.stores.cloud_storage import CloudStorageObjects
from shared.stores.connect import (
    connect_dead_letters,
    connect_documents,
    connect_events,
    connect_objects,
    connect_secrets,
)
from shared.stores.file_secrets import FileSecrets
from shared.stores.firestore_documents import FirestoreDocuments
from shared.stores.folder_objects import FolderObjects
from shared.stores.pubsub_bus import PubsubBus
from shared.stores.pubsub_dead_letters import PubsubDeadLetters
from shared.stores.secret_manager import SecretManagerSecrets
from shared.stores.spool import SpoolBus, SpoolQueue
from shared.stores.sqlite_documents import SqliteDocuments


def test_each_scheme_has_its_adapter(tmp_path: Path) -> None:
    assert isinstance(connect_documents(f"sqlite://{tmp_path}/d.db"), SqliteDocuments)
    assert isinstance(connect_documents("firestore://wardgate-test"), FirestoreDocuments)
    assert isinstance(connect_documents("firestore://wardgate-test/(default)"), FirestoreDocuments)
    assert isinstance(connect_documents("firestore://wardgate-test/limits-eu"), FirestoreDocuments)
    assert isinstance(connect_events(f"spool://{tmp_path}/s.db"), SpoolBus)
    assert isinstance(connect_events("pubsub://wardgate-test/audit-events"), PubsubBus)
    assert isinstance(connect_dead_letters(f"spool://{tmp_path}/s.db", ""), SpoolQueue)
    assert isinstance(connect_dead_letters("pubsub://wardgate-test/audit", "dead-letters"), PubsubDeadLetters)
    assert isinstance(connect_secrets(f"files://{tmp_path}/secrets"), FileSecrets)
    assert isinstance(connect_secrets("secretmanager://wardgate-test"), SecretManagerSecrets)
    assert isinstance(connect_objects(f"file://{tmp_path}/objects"), FolderObjects)
    assert isinstance(connect_objects("gs://wardgate-audit_1.example.com"), CloudStorageObjects)


def test_a_path_is_taken_as_it_stands(tmp_path: Path) -> None:
    home = tmp_path / "a b#c?d%20é"
    connect_objects(f"file://{home}").create("x", b"1")
    assert (home / "x").read_bytes() == b"1"


@pytest.mark.parametrize("connect", [connect_documents, connect_events, connect_secrets, connect_objects])
@pytest.mark.parametrize("uri", ["", "x", "/x", "redis:///x", "sqlite+x:///x", "http://host/x"])
def test_an_unknown_scheme_is_a_fault_of_its_setting(connect: Callable[[str], object], uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"WARDGATE_[A-Z]+: scheme '.*' is not supported; give "):
        connect(uri)


@pytest.mark.parametrize(
    ("connect", "uri"),
    [
        (connect_documents, "sqlite://relative/x.db"),
        (connect_documents, "sqlite://"),
        (connect_documents, "firestore://"),
        (connect_documents, "firestore://UPPER/(default)"),
        (connect_documents, "firestore://project-1/a/b"),
        (connect_documents, "firestore://project-1/(other)"),
        (connect_events, "spool:///"),
        (connect_events, "pubsub://wardgate-test"),
        (connect_events, "pubsub://wardgate-test/a/b"),
        (connect_events, "pubsub://wardgate-test/goog-audit"),
        (connect_events, "pubsub://UPPER/audit"),
        (connect_secrets, "files://"),
        (connect_secrets, "secretmanager://"),
        (connect_secrets, "secretmanager://UPPER"),
        (connect_secrets, "secretmanager://project/secrets/x"),
        (connect_objects, "file://host"),
        (connect_objects, "gs://"),
        (connect_objects, "gs://UPPER"),
        (connect_objects, "gs://bucket/folder"),
    ],
)
def test_a_malformed_place_is_a_fault_of_its_setting(connect: Callable[[str], object], uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"WARDGATE_[A-Z]+: "):
        connect(uri)


def test_dead_letters_on_pubsub_need_their_subscription() -> None:
    with pytest.raises(ConfigurationError, match="--subscription"):
        connect_dead_letters("pubsub://wardgate-test/audit", "")


def test_only_what_is_named_is_imported(tmp_path: Path) -> None:
    """The local stack must not pay for Google's clients, nor an archive for SQLite."""
    script = """
import json, sys
from shared.stores.connect import connect_documents, connect_events, connect_objects, connect_secrets
def loaded():
    return sorted({"google.cloud.secretmanager_v1", "grpc", "sqlite3", "urllib3", "flask"} & set(sys.modules))
seen = [loaded()]
connect_secrets(f"files://{sys.argv[1]}/secrets"); connect_objects(f"file://{sys.argv[1]}/objects")
seen.append(loaded())
connect_documents(f"sqlite://{sys.argv[1]}/d.db"); connect_events(f"spool://{sys.argv[1]}/s.db")
seen.append(loaded())
print(json.dumps(seen))
"""
    output = subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True).stdout
    assert json.loads(output) == [[], [], ["sqlite3"]]
