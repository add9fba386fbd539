"""What commands that read sealed prompts and answers work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.audit.connect import connect_wrapper
from shared.audit.content import ContentSealer
from shared.audit.port import OperationTrail
from shared.cli.operators import operator_trail
from shared.cli.output import need_home
from shared.settings import load_settings
from shared.stores.connect import connect_documents, connect_objects, connect_secrets
from shared.stores.objects import ObjectStore
from shared.stores.secret_reader import SecretReader


@dataclass(frozen=True, slots=True)
class SealedArchive:
    """The archive, who opens what is sealed in it, and the trail, which is to be told of it first."""

    objects: ObjectStore
    sealer: ContentSealer
    trail: OperationTrail


@contextmanager
def sealed_archive() -> Iterator[SealedArchive]:
    """Connect what the settings name.

    Raises:
        ConfigurationError: A setting is missing or wrong, or there is no such home.
    """
    settings = load_settings(needs={"documents", "events", "secrets", "objects"})
    need_home(settings, settings.documents, settings.events, settings.objects)
    documents = connect_documents(settings.documents)
    secrets = SecretReader(connect_secrets(settings.secrets), documents, settings.environment)
    sealer = ContentSealer(documents, connect_wrapper(settings.content_key, secrets))
    with operator_trail(settings) as trail:
        yield SealedArchive(connect_objects(settings.objects), sealer, trail)
