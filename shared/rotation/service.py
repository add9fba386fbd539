"""What ``rotate_secrets`` and ``wardgate rotate`` do: make what is missing, and report. It does not rotate yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.clock import Clock
from shared.policy.types import PolicyFile
from shared.rotation.inventory import ensure_secrets
from shared.rotation.schedule import SecretStatus, due_report
from shared.stores.secrets import SecretStore

REPORTS_ONLY = "reports only"


@dataclass(frozen=True, slots=True)
class RotationReport:
    """The state of every secret, as JSON and for the command line."""

    made: tuple[str, ...]
    """The secrets that got their first version in this run."""

    secrets: tuple[SecretStatus, ...]
    rotation: str = REPORTS_ONLY
    """What happens to a secret that is due: so far it is only reported."""


Work = Callable[[SecretStore, PolicyFile, Clock], RotationReport]
"""``run`` or ``status``."""


def run(store: SecretStore, policy: PolicyFile, clock: Clock) -> RotationReport:
    """One tick of the schedule: make the secrets that are missing, then report.

    Raises:
        StoreUnavailable: The store does not answer; the next tick goes on.
    """
    made = ensure_secrets(store)
    return RotationReport(made, due_report(store, policy, clock))


def status(store: SecretStore, policy: PolicyFile, clock: Clock) -> RotationReport:
    """Report, and change nothing.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    return RotationReport((), due_report(store, policy, clock))
