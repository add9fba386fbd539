"""The trail of a function that writes nothing but operations, and so reads no secret."""

from __future__ import annotations

from typing import NoReturn

from shared.audit.heads import Heads
from shared.audit.journal import Journals
from shared.audit.writer import ChainWriter
from shared.clock import Clock
from shared.errors import SecretNotFound
from shared.policy.types import Audit
from shared.settings import Settings
from shared.stores.connect import connect_events
from shared.stores.documents import DocumentStore


class _NoPeppers:
    """Operations hold no hashes; the function may not even read the pepper."""

    def current(self, name: str) -> NoReturn:
        raise SecretNotFound("This function reads no secrets.")


def operations_trail(settings: Settings, documents: DocumentStore, clock: Clock, source: str) -> ChainWriter:
    """Make the trail; whoever has it closes it when the process ends.

    Raises:
        ConfigurationError: A setting names what does not exist.
    """
    return ChainWriter(
        connect_events(settings.events),
        _NoPeppers(),
        Audit(mode="fail_close"),
        clock,
        source,
        heads=Heads(documents),
        journals=Journals(settings.journals),
    )
