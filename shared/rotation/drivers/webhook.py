"""The driver for a server of one's own that makes keys: four signed requests, as docs/rotation.md has them.

Requests follow Standard Webhooks (https://www.standardwebhooks.com): ``webhook-id``, ``webhook-timestamp``, and
``webhook-signature`` with ``v1,`` and the HMAC-SHA256 of ``id.timestamp.body``, once for each signing secret that is
in use. So the server may verify with the old one until the grace period of the signing secret is over.
"""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Callable, Sequence

import msgspec

from shared.clock import Clock, utc
from shared.policy.types import WebhookDriver
from shared.rotation.drivers.port import KeyNotAccepted, ListedKey, NewKey, ProviderRefused
from shared.rotation.drivers.provider_api import (
    MOST_PAGES,
    Answer,
    ProviderApi,
    deadline,
    header_text,
    new_key,
    split_url,
)
from shared.shapes import prepare
from shared.stores.secrets import Secret

_PREFIX = b"whsec_"
"""What a secret begins with whose base64 follows, as Standard Webhooks writes them down."""

_MOST_REFERENCE_CHARACTERS = 512
"""References stand in the rotation document, which must stay small."""

_GONE = frozenset({404, 410})


class _Made(msgspec.Struct, frozen=True):
    value: str
    reference: str


class _Tested(msgspec.Struct, frozen=True):
    accepted: bool


class _Listed(msgspec.Struct, frozen=True):
    reference: str
    attempt: str | None = None


class _Page(msgspec.Struct, frozen=True):
    keys: tuple[_Listed, ...]
    next: str | None = None


prepare(_Made, _Tested, _Page)

SigningSecrets = Callable[[], Sequence[Secret]]
"""The secrets to sign with, the current one first. Raises ``StoreError``."""


class Webhook:
    """Asks one server for the keys of one secret."""

    mints = True
    lists = True

    def __init__(self, config: WebhookDriver, secret: str, signing_secrets: SigningSecrets, clock: Clock) -> None:
        """
        Args:
            config: Where the server is.
            secret: Name of the secret that the keys are for.
            signing_secrets: What to sign with.
            clock: Dates the requests.
        """
        origin, self._path = split_url(config.url)
        self._api = ProviderApi(origin, "The webhook")
        self._secret = secret
        self._signing_secrets = signing_secrets
        self._clock = clock

    def create(self, attempt_id: str) -> NewKey:
        """See ``Driver``."""
        made = self._api.decoded(self._ask("create", deadline(), attempt=attempt_id), _Made, statuses=(200, 201))
        if not 0 < len(made.reference) <= _MOST_REFERENCE_CHARACTERS:
            raise ProviderRefused("The webhook names no reference of the key, by which it could be revoked.")
        return NewKey(new_key(made.value), made.reference)

    def test(self, value: Secret) -> None:
        """See ``Driver``."""
        answer = self._ask("test", deadline(), value=header_text(value))
        if not self._api.decoded(answer, _Tested).accepted:
            raise KeyNotAccepted("The webhook says that the key does not work.")

    def revoke(self, reference: str) -> None:
        """See ``Driver``."""
        answer = self._ask("revoke", deadline(), reference=reference)
        if not 200 <= answer.status < 300 and answer.status not in _GONE:
            raise self._api.failure(answer)

    def list(self) -> list[ListedKey]:
        """See ``Driver``."""
        found: list[ListedKey] = []
        until, after = deadline(), None
        for _ in range(MOST_PAGES):
            page = self._api.decoded(self._ask("list", until, after=after), _Page)
            found += [ListedKey(key.reference, key.attempt) for key in page.keys]
            if not page.next:
                return found
            after = page.next
        raise self._api.endless()

    def _ask(self, call: str, until: float, **data: str | None) -> Answer:
        sent_at = utc(self._clock)
        body = msgspec.json.encode(
            {"type": f"key.{call}", "timestamp": sent_at, "data": {"secret": self._secret, **data}}
        )
        identifier, timestamp = f"msg_{uuid.uuid4().hex}", str(int(sent_at.timestamp()))
        signed = f"{identifier}.{timestamp}.".encode() + body
        signatures = [f"v1,{_signature(secret, signed)}" for secret in self._signing_secrets()]
        headers = {
            "webhook-id": identifier,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signatures),
        }
        return self._api.send("POST", self._path, headers=headers, body=body, deadline=until)


def _signature(secret: Secret, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(_key_of(secret), signed, "sha256")).decode()


def _key_of(secret: Secret) -> bytes:
    value = secret.reveal()
    if not value.startswith(_PREFIX):
        return value
    try:
        return base64.b64decode(value.removeprefix(_PREFIX).strip(), validate=True)
    except ValueError:
        raise ProviderRefused("The signing secret begins with whsec_, but no base64 follows.") from None
