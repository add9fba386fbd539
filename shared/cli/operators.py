"""Who works on Wardgate, and the chain that what they do is written to."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from shared.audit.heads import Heads
from shared.audit.port import Operation, OperationTrail, Operator
from shared.audit.writer import ChainWriter
from shared.clock import SystemClock
from shared.errors import StoreUnavailable, Unrecorded
from shared.policy.types import Audit
from shared.settings import Settings
from shared.stores.connect import connect_documents, connect_events, connect_secrets
from shared.stores.secret_reader import SecretReader

_SOURCE = "//wardgate/operator"


@contextmanager
def operator_trail(settings: Settings) -> Iterator[ChainWriter]:
    """The trail, with a chain of its own for this command."""
    documents = connect_documents(settings.documents)
    peppers = SecretReader(connect_secrets(settings.secrets), documents, settings.environment)
    # What an operator does is acknowledged by the trail, whatever the policy says of calls.
    bus, policy = connect_events(settings.events), Audit(mode="fail_close")
    trail = ChainWriter(bus, peppers, policy, SystemClock(), _SOURCE, heads=Heads(documents))
    try:
        yield trail
    finally:
        trail.close()


def tell_first(trail: OperationTrail, action: str, subject: str, refusal: str) -> None:
    """Record what is about to be done: nothing is given out or let go on that the trail does not know of.

    Raises:
        StoreUnavailable: The trail did not take it; says ``refusal``, such as ``nothing is reset``.
    """
    try:
        trail.record_operation(Operation(action, subject, operator()))
    except StoreUnavailable as error:
        raise StoreUnavailable(f"The audit trail did not take the event, so {refusal}: {error}") from error


def tell_after(trail: OperationTrail, action: str, subject: str, done: str, detail: str | None = None) -> None:
    """Record what was done and could not wait for the trail.

    Raises:
        Unrecorded: The trail did not take it; says ``done``, such as ``The key is REVOKED``.
    """
    try:
        trail.record_operation(Operation(action, subject, operator(), detail))
    except StoreUnavailable as error:
        raise Unrecorded(done, error) from error


def operator() -> Operator:
    """Who runs this command, as far as the machine tells."""
    if name := os.environ.get("WARDGATE_OPERATOR"):
        return Operator(name[:128], "environment")
    try:
        return Operator(pwd.getpwuid(os.getuid()).pw_name, "os_user")
    except KeyError:  # a container's user may have no entry
        return Operator(f"uid-{os.getuid()}", "os_user")
