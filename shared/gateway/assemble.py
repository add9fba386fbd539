"""Puts the gateway's services together from settings and policy. Opens no connection yet."""

from __future__ import annotations

import atexit

from shared.admission.idempotency import Idempotency
from shared.admission.limiter import connect_limiter
from shared.audit.connect import connect_wrapper
from shared.audit.content import ContentSealer
from shared.audit.heads import Heads
from shared.audit.journal import Journals
from shared.audit.writer import ChainWriter
from shared.clock import Clock, SystemClock
from shared.gateway.admin import Admin
from shared.gateway.receipt_keys import ReceiptKeys
from shared.gateway.services import Services
from shared.guards.tenants import Pipelines
from shared.identity.addresses import AddressCap
from shared.identity.api_keys import ApiKeys
from shared.identity.authenticate import Authenticator, TokenVerifier
from shared.identity.key_rotation import KeyRotation
from shared.identity.service import connect_identity
from shared.models.client import ModelClient
from shared.policy.types import Issuer
from shared.settings import Settings
from shared.stores.connect import connect_documents, connect_events, connect_secrets
from shared.stores.secret_reader import SecretReader
from shared.switch.switch import KillSwitch
from shared.web.start import Start

_AUDIT_SOURCE = "//wardgate/guard"

_KILLED_EVENTS = 10
"""Events a minute, for each key and process, of calls that the kill switch refuses."""


def assemble(start: Start, pipelines: Pipelines) -> Services:
    """Make everything that guard works with.

    Raises:
        ConfigurationError: A setting names what does not exist.
    """
    settings, policy, clock = start.settings, start.policy.file, SystemClock()
    documents = connect_documents(settings.documents, timeout_seconds=policy.admission.deadline_ms / 1000)
    store = connect_secrets(settings.secrets)
    secrets = SecretReader(store, documents, settings.environment)
    receipts = ReceiptKeys(secrets, store)
    trail = ChainWriter(
        connect_events(settings.events),
        secrets,
        policy.audit,
        clock,
        _AUDIT_SOURCE,
        heads=Heads(documents),
        journals=Journals(settings.journals),
        content=ContentSealer(documents, connect_wrapper(settings.content_key, secrets))
        if policy.audit.content == "sealed"
        else None,
    )
    atexit.register(trail.close)
    keys = ApiKeys(documents, secrets, clock)
    return Services(
        policy=start.policy,
        clock=clock,
        authenticator=Authenticator(keys, _oidc(policy.identity.issuers)),
        switch=KillSwitch(documents),
        admission=connect_limiter(documents, policy, clock),
        idempotency=Idempotency(documents, clock),
        pipelines=pipelines,
        model=ModelClient(
            settings.model_url,
            connect_identity(settings.identity, settings.guard_service_account, clock),
            connect_timeout=policy.calls.connect_timeout_seconds,
        ),
        trail=trail,
        signer=receipts.signer,
        public_keys=receipts.public_keys,
        unauthenticated=AddressCap(policy.identity.unauthenticated_per_minute, clock),
        failures=AddressCap(
            policy.identity.failures_per_minute,
            clock,
            code="too_many_failed_logins",
            message="Too many failed logins from this address.",
        ),
        uncharged=AddressCap(policy.identity.unauthenticated_per_minute, clock),
        killed=AddressCap(_KILLED_EVENTS, clock),
        admin=_admin(settings, keys, KeyRotation(documents, secrets, clock), trail, clock),
    )


def import_adapters(start: Start) -> None:
    """Import what these settings need, before gunicorn forks: no request waits for it, and forks share it."""
    settings = start.settings
    connect_documents(settings.documents)
    connect_events(settings.events)
    connect_secrets(settings.secrets)
    connect_identity(settings.identity, settings.guard_service_account)
    _oidc(start.policy.file.identity.issuers)


def _admin(settings: Settings, keys: ApiKeys, rotation: KeyRotation, trail: ChainWriter, clock: Clock) -> Admin | None:
    """What the admin routes work with; imported only where there are any."""
    if not settings.admin_audience:
        return None
    from shared.identity.operators import OperatorVerifier
    from shared.identity.service_verifier import trusted_issuer

    trust = trusted_issuer(settings.identity, settings.admin_audience, clock)
    return Admin(OperatorVerifier(trust, settings.admin_accounts, clock), keys, rotation, trail)


def _oidc(issuers: list[Issuer]) -> TokenVerifier | None:
    """A verifier of tokens; what it imports is a good part of a cold start, so only where issuers are named."""
    if not issuers:
        return None
    from shared.identity.oidc import OidcVerifier

    return OidcVerifier(issuers, SystemClock())
