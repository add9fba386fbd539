"""Makes the router that a policy describes."""

from __future__ import annotations

from importlib import import_module
from typing import assert_never

from shared.clock import SystemClock
from shared.errors import SecretNotFound, StoreError
from shared.models.breaker import CircuitBreaker
from shared.models.router import Alias, Router, Target
from shared.models.upstreams.builtin import BuiltinUpstream
from shared.models.upstreams.failures import auth_failed
from shared.models.upstreams.openai import OpenAIUpstream
from shared.models.upstreams.port import Key, Upstream
from shared.policy import types as policy
from shared.settings import Settings
from shared.stores.connect import connect_documents, connect_secrets
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret
from shared.web.log import log

LOCAL_SERVICE_ACCOUNT = "model@wardgate.local"
"""Whom the local issuer vouches for where an upstream asks for the model function's identity."""

OVERRIDE = "upstream-url"
"""What events and logs call the server that ``UPSTREAM_URL`` names."""


def import_adapters(file: policy.PolicyFile, settings: Settings) -> None:
    """Import what the policy's upstreams need beyond the rest, so that no request has to wait for it."""
    if any(isinstance(config, policy.OpenAIUpstream) and config.secret for config in file.upstreams.values()):
        _reader(settings)
    if any(isinstance(config, policy.VertexUpstream) for config in file.upstreams.values()):
        import_module("shared.models.upstreams.vertex")
    if any(isinstance(config, policy.OpenAIUpstream) and config.auth for config in file.upstreams.values()):
        import_module("shared.models.upstreams.google_identity")


def connect_router(file: policy.PolicyFile, settings: Settings) -> Router:
    """The router for a policy. Opens no connection yet.

    Args:
        file: Names the upstreams and the aliases.
        settings: Say where the upstreams' keys are; in development they may also put a server in the
            built-in model's place.

    Raises:
        ConfigurationError: The secret store's address is malformed.
    """
    calls = file.calls
    upstreams = {name: _upstream(config, calls, settings) for name, config in file.upstreams.items()}
    override = _override(settings, calls)

    def target(named: policy.Target) -> Target:
        breaker = CircuitBreaker(calls.breaker_failures, calls.breaker_seconds)
        if override is not None and isinstance(file.upstreams[named.upstream], policy.BuiltinUpstream):
            return Target(OVERRIDE, override, settings.upstream_model, breaker)
        return Target(named.upstream, upstreams[named.upstream], named.model, breaker)

    aliases = {
        name: Alias([target(named) for named in alias.targets], alias.max_output_tokens)
        for name, alias in file.models.items()
    }
    return Router(aliases, attempts=calls.attempts)


def _upstream(config: policy.Upstream, calls: policy.Calls, settings: Settings) -> Upstream:
    timeout = calls.connect_timeout_seconds
    match config:
        case policy.BuiltinUpstream():
            return BuiltinUpstream()
        case policy.OpenAIUpstream(base_url=base_url):
            return OpenAIUpstream(base_url, key=_key(config, settings), connect_timeout=timeout)
        case policy.VertexUpstream():
            from shared.models.upstreams.vertex import connect_vertex

            return connect_vertex(config, connect_timeout=timeout)
    assert_never(config)


def _key(config: policy.OpenAIUpstream, settings: Settings) -> Key | None:
    """What signs in to an upstream; None where it asks for nothing."""
    if config.auth is not None:
        from shared.identity.service import connect_token_source
        from shared.models.upstreams.google_identity import TokenKey

        clock = SystemClock()
        return TokenKey(config.auth, connect_token_source(settings.identity, LOCAL_SERVICE_ACCOUNT, clock), clock)
    return None if config.secret is None else StoredKey(config.secret, _reader(settings))


def _reader(settings: Settings) -> SecretReader:
    stores = connect_secrets(settings.secrets), connect_documents(settings.documents)
    return SecretReader(*stores, settings.environment)


def _override(settings: Settings, calls: policy.Calls) -> Upstream | None:
    """The server that takes the built-in model's place in development."""
    if settings.upstream_url is None:
        return None
    secret = settings.upstream_api_key
    key = None if secret is None else _Fixed(secret)
    return OpenAIUpstream(settings.upstream_url, key=key, connect_timeout=calls.connect_timeout_seconds)


class StoredKey:
    """A key from the secret store."""

    def __init__(self, name: str, reader: SecretReader) -> None:
        self._name = name
        self._reader = reader

    def __call__(self, *, fresh: bool = False) -> Secret:
        """The current version's value. Raises ``UpstreamFailure`` where it cannot be read."""
        try:
            return (self._reader.refresh if fresh else self._reader.current)(self._name).secret
        except StoreError as error:
            log("ERROR", "upstream.key_unreadable", secret=self._name, error=type(error).__name__)
            raise auth_failed(final=isinstance(error, SecretNotFound)) from error

    def previous(self) -> Secret | None:
        """The value of the version before, in its grace period."""
        return self._reader.previous(self._name)


class _Fixed:
    """A key that never changes."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def __call__(self, *, fresh: bool = False) -> Secret:
        return self._secret

    def previous(self) -> None:
        return None
