"""When each secret is due for a new version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.clock import Clock, utc
from shared.errors import SecretNotFound
from shared.policy.types import OpenAIUpstream, PolicyFile
from shared.rotation.inventory import HELD_SECRETS
from shared.stores.secrets import SecretStore, SecretVersion

Status = Literal["ok", "due", "missing"]


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """How old a secret is, and when that is too old."""

    name: str
    owner: Literal["wardgate", "operator"]
    """Who makes its versions: keys of upstreams come from outside."""

    status: Status
    """``missing``: the store holds no enabled version."""

    version: int | None = None
    age_seconds: int | None = None
    due_at: datetime | None = None


def due_report(store: SecretStore, policy: PolicyFile, clock: Clock) -> tuple[SecretStatus, ...]:
    """The state of every secret that Wardgate or an upstream of the policy needs, Wardgate's own first.

    Args:
        store: Where the secrets are. A key that comes from an environment variable in development is ``missing``.
        policy: Names the upstreams' secrets, and how old a secret may grow.
        clock: Tells the time that ages are counted to.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    period = timedelta(days=policy.secrets.period_days)
    upstreams = {upstream.secret for upstream in policy.upstreams.values() if isinstance(upstream, OpenAIUpstream)}
    theirs = sorted(name for name in upstreams if name is not None and name not in HELD_SECRETS)
    return (
        *(_status(store, name, "wardgate", period, utc(clock)) for name in HELD_SECRETS),
        *(_status(store, name, "operator", period, utc(clock)) for name in theirs),
    )


def _status(
    store: SecretStore, name: str, owner: Literal["wardgate", "operator"], period: timedelta, now: datetime
) -> SecretStatus:
    version = _newest_enabled(store, name)
    if version is None:
        return SecretStatus(name, owner, "missing")
    made = datetime.fromtimestamp(version.created_at / 1e9, UTC)
    due_at = made + period
    status: Status = "due" if due_at <= now else "ok"
    return SecretStatus(name, owner, status, version.number, int((now - made).total_seconds()), due_at)


def _newest_enabled(store: SecretStore, name: str) -> SecretVersion | None:
    try:
        return next((version for version in store.versions(name) if version.state == "enabled"), None)
    except SecretNotFound:
        return None
