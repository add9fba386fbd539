"""What the gateway works with: one of each, made once per process."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from shared.admission.idempotency import Idempotency
from shared.admission.port import Admission
from shared.audit.port import Trail
from shared.clock import Clock
from shared.gateway.admin import Admin
from shared.guards.receipt import ReceiptSigner
from shared.guards.tenants import Pipelines
from shared.identity.addresses import AddressCap
from shared.identity.authenticate import Authenticator
from shared.models.client import ModelClient
from shared.policy import Policy
from shared.switch.switch import KillSwitch


class Services(Struct, frozen=True):
    """The rooms of the house that a request passes through."""

    policy: Policy
    clock: Clock
    authenticator: Authenticator
    switch: KillSwitch
    admission: Admission
    idempotency: Idempotency
    pipelines: Pipelines
    model: ModelClient
    trail: Trail
    signer: Callable[[], ReceiptSigner]
    """The signer with the current key; the key may change while the process runs."""

    public_keys: Callable[[], bytes]
    """The JWKS of every receipt key that is still valid, as JSON."""

    unauthenticated: AddressCap
    """Counts requests that need no credential, by address."""

    failures: AddressCap
    """Counts failed logins, by address."""

    uncharged: AddressCap
    """Counts requests that no limit of the policy is charged for, by key."""

    admin: Admin | None
    """For the admin routes; None where there are none."""

    killed: AddressCap
    """Counts events of calls that the kill switch refused, by key: those above the cap are only logged."""
