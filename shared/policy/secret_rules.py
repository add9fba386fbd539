"""What the policy says of secrets, and what no single field's type can tell: who makes which, and where keys go."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from shared.errors import Fault
from shared.policy.types import (
    GoogleApiKeyDriver,
    OpenAIProjectDriver,
    OpenAIUpstream,
    PolicyFile,
    RemindDriver,
    SecretRule,
    WebhookDriver,
)

API_KEY_PEPPER = "api-key-pepper"
"""Keys the hashes under which API keys are stored."""

AUDIT_PEPPER = "audit-pepper"
"""Keys the hashes that stand for prompts and answers in audit events."""

RECEIPT_SIGNING_KEY = "receipt-signing-key"
"""Ed25519 private key, raw, that signs receipts."""

CONTENT_KEY = "content-key"
"""Wraps the keys of sealed prompts and answers, where the policy has them sealed."""

AUDIT_SIGNING_KEY = "audit-signing-key"
"""Ed25519 private key, raw, that signs checkpoints of the audit trail where Cloud KMS does not."""

HELD_SECRETS = (API_KEY_PEPPER, AUDIT_PEPPER, RECEIPT_SIGNING_KEY, AUDIT_SIGNING_KEY)
"""Those that every installation has."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_DAY = 86_400


def signing_secrets(file: PolicyFile) -> tuple[str, ...]:
    """Names of the secrets that webhooks are signed with and that Wardgate makes itself."""
    rules = file.secrets.per_secret
    named = {rule.driver.signing_secret for rule in rules.values() if isinstance(rule.driver, WebhookDriver)}
    return tuple(sorted(name for name in named if rules.get(name, SecretRule()).driver is None))


def operators_secrets(file: PolicyFile) -> tuple[str, ...]:
    """Names of the secrets whose versions people make: upstreams' and admin keys without a driver, and reminders."""
    rules = file.secrets.per_secret
    named = {upstream.secret for upstream in file.upstreams.values() if isinstance(upstream, OpenAIUpstream)}
    named |= {rule.driver.admin_secret for rule in rules.values() if isinstance(rule.driver, OpenAIProjectDriver)}
    named |= {name for name, rule in rules.items() if isinstance(rule.driver, RemindDriver)}
    made = {name for name, rule in rules.items() if not isinstance(rule.driver, RemindDriver | None)}
    made |= {*HELD_SECRETS, CONTENT_KEY, *signing_secrets(file)}
    return tuple(sorted(name for name in named if name is not None and name not in made))


def secret_faults(file: PolicyFile) -> Iterator[Fault]:
    """What contradicts itself in the policy's secrets, and the upstreams that sign in without one."""
    for name, upstream in file.upstreams.items():
        if isinstance(upstream, OpenAIUpstream) and upstream.auth is not None:
            path = f"upstreams.{name}"
            if upstream.secret is not None:
                yield Fault(f"{path}.auth", "contradicts 'secret'; give one of them.")
            yield from _unsafe(f"{path}.base_url", upstream.base_url, "a token")
            if upstream.auth.exchange is not None:
                yield from _unsafe(f"{path}.auth.exchange.url", upstream.auth.exchange.url, "a token")
    for name, rule in file.secrets.per_secret.items():
        yield from _driver_faults(name, rule, file)


def _driver_faults(name: str, rule: SecretRule, file: PolicyFile) -> Iterator[Fault]:
    driver, path = rule.driver, f"secrets.per_secret.{name}.driver"
    if driver is not None and name in (*HELD_SECRETS, CONTENT_KEY):
        yield Fault(path, f"'{name}' is Wardgate's own, which it makes by itself; leave the driver out.")
    match driver:
        case WebhookDriver(url=url, signing_secret=signing):
            yield from _unsafe(f"{path}.url", url, "a key")
            yield from _not_itself(f"{path}.signing_secret", signing, name, file)
        case OpenAIProjectDriver(base_url=url, admin_secret=admin):
            yield from _unsafe(f"{path}.base_url", url, "a key")
            yield from _not_itself(f"{path}.admin_secret", admin, name, file)
            yield from _too_short(f"{path}.lifetime_days", driver.lifetime_days, rule, file)
        case GoogleApiKeyDriver(base_url=url, test_url=tested):
            yield from _unsafe(f"{path}.base_url", url, "a key")
            yield from _unsafe(f"{path}.test_url", tested, "a key")


def _unsafe(path: str, url: str, what: str) -> Iterator[Fault]:
    try:
        parts = urlsplit(url)
        safe = parts.hostname is not None and (parts.scheme == "https" or parts.hostname in _LOOPBACK)
    except ValueError:  # brackets that hold no IPv6 address
        safe = False
    if not safe:
        yield Fault(path, f"must be https, since {what} goes over it; http is for loopback only.")


def _not_itself(path: str, needed: str, name: str, file: PolicyFile) -> Iterator[Fault]:
    """Whoever makes a key needs another secret for that, which nobody makes in the same way."""
    driver = file.secrets.per_secret.get(needed, SecretRule()).driver
    if needed == name or needed in (*HELD_SECRETS, CONTENT_KEY):
        yield Fault(path, f"'{needed}' is for something else; name a secret of its own.")
    elif not isinstance(driver, RemindDriver | None):
        yield Fault(path, f"'{needed}' has a driver itself; a secret that makes others is on 'remind', or has none.")


def _too_short(path: str, days: int | None, rule: SecretRule, file: PolicyFile) -> Iterator[Fault]:
    """A key that expires must be replaced in time, with a day in which that may fail."""
    period = rule.period_days or file.secrets.period_days
    grace = rule.grace_seconds or file.secrets.grace_seconds
    if days is not None and days * _DAY < (period + 1) * _DAY + grace:
        yield Fault(path, f"ends before the key is replaced: after {period} days, the grace period and a day to spare.")
