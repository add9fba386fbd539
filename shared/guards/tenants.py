"""The guards of every tenant: its own where the policy says something of it, else everybody's."""

from __future__ import annotations

from shared.guards.pipeline import Pipeline
from shared.policy.types import PolicyFile


class Pipelines:
    """A pipeline for each tenant, made at start: a policy whose guards do not compile stops it.

    Raises:
        ValueError: A guard's rules do not compile.
    """

    def __init__(self, policy: PolicyFile) -> None:
        self.usual = Pipeline(policy.guards)
        """For tenants of which the policy says nothing."""

        self._own = {
            name: self.usual if tenant.guards == policy.guards else Pipeline(tenant.guards)
            for name, tenant in policy.tenants.items()
        }

    def of(self, tenant: str) -> Pipeline:
        """The guards of a tenant's callers."""
        return self._own.get(tenant, self.usual)
