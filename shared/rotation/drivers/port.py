"""The port of a driver: whoever makes and revokes the keys of one secret.

    DriverError
    ├── ProviderUnavailable   not now; the same call may work later, and may have worked already
    ├── ProviderRefused       not like this: trying again is of no use until somebody changes something
    └── KeyNotAccepted        only from ``test``: the provider says that the key does not work (yet)

What rotation relies on:

- An attempt's id is written down before ``create`` is called with it. A process may die at any point
  after that, so a key may exist of which nobody knows the value. ``list`` finds it by its attempt id,
  which the driver must therefore store with the provider where ``list`` reads it back, as a name does.
- ``revoke`` may be called again for what is revoked already, or never existed.
- Each call ends within ``CALL_SECONDS``; a lease is longer than that.
- Error messages, like everything else that may be logged, never hold a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import WardgateError
from shared.stores.secrets import Secret

CALL_SECONDS = 20.0
"""Longest that one call of a driver may take, retries of its own included."""


class DriverError(WardgateError):
    """A driver could not do what was asked. Retried as ``ProviderUnavailable`` is, unless it is one of those below."""


class ProviderUnavailable(DriverError):
    """No answer, a busy one (408, 425, 429, 5xx), or one that was not understood; what was asked may have happened.

    Attributes:
        retry_after: Seconds that the provider asks to be left alone for.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderRefused(DriverError):
    """The provider will not do it (other 4xx): a right is missing, a quota is used up, a setting is wrong."""


class KeyNotAccepted(DriverError):
    """The new key does not work. Tried again for a while, since providers may take time to know their own keys."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What ``create`` made."""

    value: Secret
    reference: str | None = None
    """What the provider calls the key, to revoke it by; None where there is nothing to revoke."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key that the provider knows."""

    reference: str
    attempt_id: str | None
    """The attempt that made it; None: not made by a rotation, which then never touches it."""

    created_at: int | None = None
    """Nanoseconds since the Unix epoch, where the provider tells; for people."""


class Driver(Protocol):
    """Makes and revokes the keys of one secret.

    Every method may raise ``ProviderUnavailable`` and ``ProviderRefused``.
    """

    @property
    def mints(self) -> bool:
        """Whether ``create`` works. False for a provider whose keys only people can make: its secret is
        reported when it is due, and none of the methods is called."""

    @property
    def lists(self) -> bool:
        """Whether ``list`` works. False: a key of an attempt that died half-way cannot be found, and an event names
        the attempt so that somebody looks."""

    def create(self, attempt_id: str) -> NewKey:
        """Make a key. It may be called once for an attempt, and not again with the same id.

        Args:
            attempt_id: 1 to 63 of ``a-z``, ``0-9`` and ``-``, beginning with a letter and ending with none but
                a letter or digit: fit for a name at the providers that are known.
        """

    def test(self, value: Secret) -> None:
        """See that a key works, by the cheapest call that proves it.

        Raises:
            KeyNotAccepted: The provider does not take it.
        """

    def revoke(self, reference: str) -> None:
        """End a key's validity. One that is gone, or was never there, is no error."""

    def list(self) -> Sequence[ListedKey]:
        """Every valid key that the provider has in this secret's place, also those that rotation did not make."""
