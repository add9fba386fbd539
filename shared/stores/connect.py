"""From a URI to the adapter that it names; only that adapter is imported.

    documents   sqlite:///path, firestore://project/database
    events      spool:///path, pubsub://project/topic
    secrets     files:///folder, secretmanager://project
    objects     file:///folder, gs://bucket
    signer      secret://name, kms://projects/…/cryptoKeyVersions/n

A path is taken as it stands, without percent-decoding, and must be absolute.
"""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import ConfigurationError, Fault
from shared.stores.documents import DocumentStore
from shared.stores.events import DeadLetters, EventBus
from shared.stores.objects import ObjectStore
from shared.stores.secrets import SecretStore
from shared.stores.signers import Signer

_SQLITE_SECONDS = 2.0

# Each is compiled where a setting is checked by it, so that a start pays for no other.
_PROJECT = r"[a-z][a-z0-9-]{4,28}[a-z0-9]|[0-9]{1,20}"
_DATABASE = r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]"
_TOPIC = r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_KEY_VERSION = (
    r"projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}"
    r"/cryptoKeys/[A-Za-z0-9_-]{1,63}/cryptoKeyVersions/[0-9]{1,9}"
)
_BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"


def connect_documents(uri: str, *, timeout_seconds: float = 2.0) -> DocumentStore:
    """The document store at ``uri``.

    Args:
        uri: ``sqlite:///path`` or ``firestore://project/database``; without a database, ``(default)``.
        timeout_seconds: How long one call may wait before ``StoreUnavailable``; on SQLite at least 2 s.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme.
    """
    match _scheme(uri):
        case "sqlite":
            from shared.stores.sqlite_documents import SqliteDocuments

            # Threads queue for the file's one writer, which is no sign of a store that is out of reach.
            patience = max(timeout_seconds, _SQLITE_SECONDS)
            return SqliteDocuments(_path(uri, "WARDGATE_DOCUMENTS"), timeout_seconds=patience)
        case "firestore":
            from shared.stores.firestore_documents import FirestoreDocuments

            project, database = _database(uri, "WARDGATE_DOCUMENTS")
            return FirestoreDocuments(project, database, timeout_seconds=timeout_seconds)
    raise _unknown(uri, "WARDGATE_DOCUMENTS", "sqlite:///path or firestore://project/database")


def connect_events(uri: str, *, setting: str = "WARDGATE_EVENTS") -> EventBus:
    """The event bus at ``uri``.

    Args:
        uri: ``spool:///path`` or ``pubsub://project/topic``.
        setting: Names it where it is wrong.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme.
    """
    match _scheme(uri):
        case "spool":
            from shared.stores.spool import SpoolBus

            return SpoolBus(_path(uri, setting))
        case "pubsub":
            from shared.stores.pubsub_bus import PubsubBus

            return PubsubBus(*_topic(uri, setting))
    raise _unknown(uri, setting, "spool:///path or pubsub://project/topic")


def connect_dead_letters(uri: str, subscription: str) -> DeadLetters:
    """What the event bus at ``uri`` has given up.

    Args:
        uri: As for ``connect_events``.
        subscription: On Pub/Sub, the id of the pull subscription to the dead-letter topic.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme, or the subscription's id is.
    """
    match _scheme(uri):
        case "spool":
            from shared.stores.spool import SpoolQueue

            return SpoolQueue(_path(uri, "WARDGATE_EVENTS"))
        case "pubsub":
            from shared.stores.pubsub_dead_letters import PubsubDeadLetters

            project, topic = _topic(uri, "WARDGATE_EVENTS")
            if re.fullmatch(_TOPIC, subscription) is None:
                raise ConfigurationError([Fault("--subscription", "needs the id of the dead letters' subscription.")])
            return PubsubDeadLetters(project, topic, subscription)
    raise _unknown(uri, "WARDGATE_EVENTS", "spool:///path or pubsub://project/topic")


def connect_secrets(uri: str) -> SecretStore:
    """The secret store at ``uri``: ``files:///folder`` or ``secretmanager://project``.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme, or the folder is open to other users.
    """
    match _scheme(uri):
        case "files":
            from shared.stores.file_secrets import FileSecrets

            return FileSecrets(_path(uri, "WARDGATE_SECRETS"))
        case "secretmanager":
            from shared.stores.secret_manager import SecretManagerSecrets

            return SecretManagerSecrets(_project(uri, "WARDGATE_SECRETS"))
    raise _unknown(uri, "WARDGATE_SECRETS", "files:///folder or secretmanager://project")


def connect_objects(uri: str) -> ObjectStore:
    """The object store at ``uri``: ``file:///folder`` or ``gs://bucket``.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme.
    """
    match _scheme(uri):
        case "file":
            from shared.stores.folder_objects import FolderObjects

            return FolderObjects(_path(uri, "WARDGATE_OBJECTS"))
        case "gs":
            from shared.stores.cloud_storage import CloudStorageObjects

            return CloudStorageObjects(_bucket(uri, "WARDGATE_OBJECTS"))
    raise _unknown(uri, "WARDGATE_OBJECTS", "file:///folder or gs://bucket")


def connect_signer(uri: str, secrets: SecretStore, documents: DocumentStore | None = None) -> Signer:
    """The signer at ``uri``: ``secret://name`` or ``kms://projects/…/cryptoKeyVersions/n``.

    Args:
        uri: Names the key.
        secrets: Holds it, where it is a secret.
        documents: Says which of the secret's versions signs; only to look at public keys it is not needed.

    Raises:
        ConfigurationError: The URI is malformed or of another scheme.
    """
    place = uri.partition("://")[2]
    match _scheme(uri):
        case "secret" if re.fullmatch(r"[A-Za-z0-9_-]{1,255}", place):
            from shared.stores.secret_signer import SecretSigner

            return SecretSigner(secrets, place, documents)
        case "kms" if re.fullmatch(_KEY_VERSION, place):
            from shared.stores.kms_signer import KmsSigner

            return KmsSigner(place)
    known = "secret://name or kms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N"
    raise ConfigurationError([Fault("WARDGATE_SIGNER", f"give {known}.")])


def _scheme(uri: str) -> str:
    return uri.partition("://")[0]


def _path(uri: str, setting: str) -> Path:
    path = Path(uri.partition("://")[2])
    if not path.is_absolute() or path == path.parent:
        raise ConfigurationError([Fault(setting, "needs an absolute path after ://, as in sqlite:///var/lib/x.db.")])
    return path


def _project(uri: str, setting: str) -> str:
    project = uri.partition("://")[2].rstrip("/")
    if re.fullmatch(_PROJECT, project) is None:
        raise ConfigurationError([Fault(setting, f"'{project}' is no Google Cloud project's id or number.")])
    return project


def _database(uri: str, setting: str) -> tuple[str, str]:
    place = uri.partition("://")[2].rstrip("/")
    project, _, database = place.partition("/")
    database = database or "(default)"
    if re.fullmatch(_DATABASE, database) is None:
        raise ConfigurationError([Fault(setting, f"'{database[:64]}' is no Firestore database's id.")])
    return _project(f"firestore://{project}", setting), database


def _topic(uri: str, setting: str) -> tuple[str, str]:
    project, _, topic = uri.partition("://")[2].rstrip("/").partition("/")
    if re.fullmatch(_TOPIC, topic) is None:
        raise ConfigurationError([Fault(setting, f"'{topic[:64]}' is no Pub/Sub topic's id.")])
    return _project(f"pubsub://{project}", setting), topic


def _bucket(uri: str, setting: str) -> str:
    bucket = uri.partition("://")[2].rstrip("/")
    if re.fullmatch(_BUCKET, bucket) is None:
        raise ConfigurationError([Fault(setting, f"'{bucket[:64]}' is no Cloud Storage bucket's name.")])
    return bucket


def _unknown(uri: str, setting: str, known: str) -> ConfigurationError:
    return ConfigurationError([Fault(setting, f"scheme '{_scheme(uri)[:32]}' is not supported; give {known}.")])
