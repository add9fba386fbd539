"""Guards' rules for tests that are about something else."""

from __future__ import annotations

from typing import Any

from shared.policy.types import GuardRule, LinksRule, MarkupRule, PiiRule, SecretsRule, ToolsRule

NO_TEXT_GUARD_ACTS: dict[str, Any] = {
    "secrets": SecretsRule(mode="off"),
    "pii": PiiRule(mode="off"),
    "links": LinksRule(mode="off"),
    "markup": MarkupRule(mode="off"),
}
"""For ``Guards``: nothing is held back of an answer's text."""

NO_FORM_GUARD_ACTS: dict[str, Any] = {
    "output": GuardRule(action="flag"),
    "schema": GuardRule(action="flag"),
    "tools": ToolsRule(action="flag"),
}
"""For ``Guards``: nothing is held back because of what an answer is made of."""
