"""The policy: what is allowed, limited and guarded. Only the server's file decides; no caller can change it."""

from shared.policy.load import Policy, load_policy

__all__ = ["Policy", "load_policy"]
