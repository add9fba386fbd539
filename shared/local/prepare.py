"""What the local stack needs before its functions start: keys, secrets and an API key."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path

from shared.clock import SystemClock, utc
from shared.errors import ApiError, ConfigurationError, Fault, StoreError, Unauthenticated
from shared.identity.api_keys import ApiKeys
from shared.identity.local_issuer import create_local_issuer
from shared.policy import load_policy
from shared.rotation.service import RotationService
from shared.rotation.telling import Telling
from shared.settings import Settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.stores.files import FILE_MODE
from shared.stores.secret_reader import SecretReader
from shared.stores.sqlite_documents import SqliteDocuments

KEY_FILE = "dev-key"
TENANT = "default"


def prepare(settings: Settings) -> str:
    """Make what is missing in the home, and find or make the developer's API key.

    Returns:
        The key, which is also in the home's ``dev-key``.

    Raises:
        ConfigurationError: Something in the home cannot be used.
    """
    store = connect_secrets(settings.secrets)
    try:
        create_local_issuer(Path(settings.identity.partition("://")[2]))
        documents = connect_documents(settings.documents)
        policy = load_policy(settings.policy).file
        # No log, since whoever reads this terminal wants to see an address and a key. A lease is that of a stack
        # which was killed: this home is for one at a time.
        with closing(Telling(settings, documents)) as tell:
            RotationService(
                store,
                documents,
                policy,
                SystemClock(),
                log=lambda *_, **__: None,
                tell=tell,
                environment=settings.environment,
                alone=True,
            ).run()
        reader = SecretReader(store, documents, settings.environment)
        key = _developer_key(ApiKeys(documents, reader, SystemClock()), settings.home)
        if isinstance(documents, SqliteDocuments):
            documents.sweep(utc(SystemClock()))  # in production the store's TTL does it
            documents.close()
    except (StoreError, ApiError, OSError) as error:
        raise ConfigurationError([Fault("WARDGATE_HOME", f"{settings.home} cannot be used: {error}")]) from error
    return key


def _developer_key(api_keys: ApiKeys, home: Path) -> str:
    """The key of the last time where it is still good, else a new one."""
    file = home / KEY_FILE
    if file.exists():
        key = file.read_text().strip()
        # Not good any more: revoked, expired, or of secrets that are gone.
        with suppress(Unauthenticated):
            api_keys.authenticate(key)
            return key
    key = api_keys.create(TENANT, "make run").key
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as written:
        written.write(key)
    return key
