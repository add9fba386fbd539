"""A secret that rotation looks after: what it needs to know of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from shared.rotation.drivers.port import Driver
from shared.rotation.machine import Keep, Timing
from shared.stores.secrets import Secret


@dataclass(frozen=True, slots=True)
class ManagedSecret:
    """One secret, its driver and its rules."""

    name: str
    driver: Driver
    timing: Timing
    keep: Keep = "none"
    """What happens to a version after its grace period. ``none``: it is disabled, and destroyed after the bake.
    ``referenced``: as soon as nothing refers to it. ``always``: never."""

    in_use: Callable[[], Collection[int]] | None = None
    """With ``referenced``: the numbers of the versions that something refers to."""

    public_key: Callable[[Secret], bytes] | None = None
    """The part of a value that anybody may know, and that must stay known."""

    provider: bool = True
    """Whether a provider knows the key, so that an old one has to be revoked there."""
