"""What a rule against prompt injection is, and the pieces of patterns that several share.

Most rules read *words* (see ``shared.text.words``): no punctuation, one space between two words, so that a
pattern needs to know neither mark-up nor line breaks. Rules on structure read the view as it is.
"""

from __future__ import annotations

from typing import Literal

from shared.guards.owasp import PROMPT_INJECTION
from shared.guards.patterns import Rule

DIRECT = "AML.T0051.000"
INDIRECT = "AML.T0051.001"
JAILBREAK = "AML.T0054"
PROMPT_EXTRACTION = "AML.T0056"
DATA_LEAKAGE = "AML.T0057"
SHELL = "AML.T0050"
TOOL_INVOCATION = "AML.T0053"
OBFUSCATION = "AML.T0068"
CONTEXT_POISONING = "AML.T0080"
"""Techniques of MITRE ATLAS (5.0)."""


class InjectionRule(Rule, frozen=True, kw_only=True):
    """One sign of an attack, and how much it says in whose words."""

    atlas: str
    """The technique's id in MITRE ATLAS."""

    score: float
    """How much it says in a user's own words, from 0 to 1."""

    indirect: float | None = None
    """How much it says in a document or a tool's result, where nobody should give orders; None: the same."""

    reads: Literal["words", "text"] = "words"
    owasp: str = PROMPT_INJECTION
    width: int = 0
    """Not bounded: prompts are read whole."""

    def score_in(self, channel: str) -> float:
        """How much the sign says in text from ``channel``."""
        return self.score if channel == "user" or self.indirect is None else self.indirect


def some(words: str) -> str:
    """Any number of ``words``, each followed by its space; smaller than so many of them, and faster."""
    return f"(?:(?:{words}) )*"


def gap(most: int) -> str:
    """Up to ``most`` words of any kind, each followed by its space."""
    return f"(?:[^ ]+ ){{0,{most}}}"


FILLER = "all|any|every|each|of|the|your|my|our|its|these|those|this|that|and|or|to|from|with|about|on|in|such|both"

EARLIER = (
    "previous|prior|above|earlier|preceding|preceeding|foregoing|past|former|initial|original|existing|old|last|"
    "aforementioned|aforesaid|precedent|pre existing|former|first|before|prev|previously given|above mentioned"
)

ORDERS = (
    "instructions?|instruction set|prompts?|rules?|commands?|directives?|directions?|guidelines?|orders?|instructs?|"
    "programming|system messages?|prompting"
)

GUARDRAILS = (
    "instructions?|prompts?|rules?|guidelines?|directives?|programming|training|restrictions?|limitations?|limits?|"
    "constraints?|ethics?|ethical [^ ]+|morals?|moral [^ ]+|morality|protocols?|safeguards?|safety [^ ]+|safety|filters?|"
    "filtering|polic(?:y|ies)|principles?|boundaries|standards?|guard ?rails?|conditioning|code of conduct|"
    "censorship|alignment|inhibitions?|compliance [^ ]+|moderation|programmed [^ ]+|predefined [^ ]+|defaults?|"
    "default settings|settings|norms|commands?|orders?|conventions|core values|procedures|confines|shackles|chains"
)

DROP = (
    "ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|neglect|overlook|discard(?:ing)?|"
    "dismiss|abandon|nullify|stop following|stop obeying|quit following|do not follow|dont follow|not follow|"
    "no longer follow|do not obey|dont obey|disobey|pay no attention to|do not listen to|dont listen to|"
    "not listen to|set aside|put aside|cast aside|leave aside|void|unlearn|delete|erase|bypass(?:ing)?|circumvent"
)
"""Verbs that take orders out of force."""
