"""What tokens cost by the policy's prices."""

from __future__ import annotations

from shared.policy.types import Price

_MILLION = 1_000_000


def cost_of(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    """The cost in millionths of ``admission.currency``, rounded up."""
    millionths = prompt_tokens * price.input + completion_tokens * price.output
    return -(-millionths // _MILLION)
