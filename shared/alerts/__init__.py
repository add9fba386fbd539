"""Alerts: what subjects do is counted, what is suspicious is told, and what the policy allows is done about it."""
