"""From a secret's rule in the policy to the driver that makes its versions. Opens no connection yet."""

from __future__ import annotations

from functools import partial
from typing import assert_never

from shared.clock import Clock
from shared.policy.types import GoogleApiKeyDriver, OpenAIProjectDriver, WardgateKeyDriver, WebhookDriver
from shared.rotation.drivers.port import Driver
from shared.stores.documents import DocumentStore
from shared.stores.secret_reader import SecretReader
from shared.stores.secrets import Secret

Minting = WardgateKeyDriver | OpenAIProjectDriver | GoogleApiKeyDriver | WebhookDriver


def connect_driver(config: Minting, name: str, documents: DocumentStore, reader: SecretReader, clock: Clock) -> Driver:
    """The driver for one secret.

    Args:
        config: What the policy says.
        name: The secret.
        documents: Where API keys are.
        reader: Reads the secrets that drivers need for themselves.
        clock: Dates what is signed, and tells which API keys have expired.
    """
    # Imported where they are used: most policies name one of them, or none.
    match config:
        case WardgateKeyDriver(key=key):
            from shared.identity.api_keys import ApiKeys
            from shared.identity.key_rotation import KeyRotation
            from shared.rotation.drivers.wardgate_key import WardgateKey

            return WardgateKey(key, KeyRotation(documents, reader, clock), ApiKeys(documents, reader, clock))
        case OpenAIProjectDriver(admin_secret=admin, service_account=account):
            from shared.rotation.drivers.openai_project import OpenAIAccountKeys, OpenAIServiceAccounts

            admin_key = partial(_key, reader, admin)
            if account is None:
                return OpenAIServiceAccounts(config, admin_key)
            return OpenAIAccountKeys(config, account, admin_key)
        case GoogleApiKeyDriver():
            from shared.rotation.drivers.google_api_key import GoogleApiKeys
            from shared.rotation.drivers.google_token import GoogleToken

            return GoogleApiKeys(config, GoogleToken())
        case WebhookDriver(signing_secret=signing):
            from shared.rotation.drivers.webhook import Webhook

            return Webhook(config, name, partial(_signing_secrets, reader, signing), clock)
    assert_never(config)


def _key(reader: SecretReader, name: str, *, fresh: bool = False) -> Secret:
    return (reader.refresh if fresh else reader.current)(name).secret


def _signing_secrets(reader: SecretReader, name: str) -> list[Secret]:
    # Asked for anew: what is remembered may be older than a short grace period.
    current, previous = reader.refresh(name).secret, reader.previous(name)
    return [current] if previous is None else [current, previous]
