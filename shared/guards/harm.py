"""Harm (LLM02): what the provider's own filter said of an answer, told as a finding like any other.

The filters are the provider's: Vertex AI's thresholds are set by the policy and never by the caller. What is done
about an answer that one of them stopped or marked is the policy's to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.guards.forms import Expected
from shared.guards.owasp import INSECURE_OUTPUT_HANDLING
from shared.guards.port import Finding
from shared.models.wire import Choice
from shared.policy.types import HarmRule


class HarmGuard:
    """Tells of choices that the provider's filter stopped or marked."""

    name = "harm"

    def __init__(self, policy: HarmRule) -> None:
        self._policy = policy

    def prompt_refused(self) -> Finding:
        """What is told where the provider's filter stopped the prompt, so that there is no answer."""
        enforced = self._policy.mode == "enforce"
        return Finding(self.name, "provider_prompt_filter", INSECURE_OUTPUT_HANDLING, (0, 0), 0.9, "block", enforced)

    def validate(self, choice: Choice, expected: Expected) -> Sequence[Finding]:
        """A finding for every category that the provider names; one without a category where it names none."""
        if choice.finish_reason != "content_filter" and not choice.filtered:
            return ()
        path, text = f"choices[{choice.index}].message.content", choice.message.content or ""
        return [
            Finding(
                self.name,
                kind,
                INSECURE_OUTPUT_HANDLING,
                (0, len(text)),
                0.9,
                self._policy.action,
                self._policy.mode == "enforce",
                path,
            )
            for kind in [f"provider_{category}" for category in choice.filtered or ()] or ["provider_filter"]
        ]
