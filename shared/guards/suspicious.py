"""Suspicious terms: words that are worth a second look, in prompts and in answers.

A word is no proof of anything, so the default policy only flags it.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.guards.owasp import EXCESSIVE_AGENCY, PROMPT_INJECTION, SENSITIVE_INFORMATION_DISCLOSURE
from shared.guards.patterns import PatternGuard, Rule, literal
from shared.policy.types import SuspiciousRule

_SCORE = 0.3


def _whole_words(alternatives: str) -> str:
    """A pattern for words of their own; an underscore or hyphen ends a word too.

    RE2 compiles Unicode's letters thirty times slower than ASCII's, so only terms of other scripts pay for them.
    """
    letters = "a-z0-9" if alternatives.isascii() else r"\pL\pN"
    return f"(?:^|[^{letters}])({alternatives})(?:$|[^{letters}])"


RULES = (
    Rule(
        id="suspicious.attack",
        kind="attack_term",
        owasp=PROMPT_INJECTION,
        pattern=_whole_words(
            "hack(?:s|ed|ers?|ing)?|exploit(?:s|ed|ers?|ing|ation)?|attack(?:s|ed|ers?|ing)?|vulnerabilit(?:y|ies)"
        ),
        width=17,
        score=_SCORE,
        matches=("how to hack", "Exploits", "an attack!", "vulnerability", "sql_attack"),
        passes=("shack", "hackathon", "exploitative", "vulnerable"),
    ),
    Rule(
        id="suspicious.credential",
        kind="credential_term",
        owasp=SENSITIVE_INFORMATION_DISCLOSURE,
        pattern=_whole_words("passwords?|credentials?|secrets?|tokens?"),
        width=13,
        score=_SCORE,
        matches=("my password", "API_TOKEN", "credentials,", "top secret", "(tokens)"),
        passes=("passwordless", "tokenizer", "secretary"),
    ),
    Rule(
        id="suspicious.privilege",
        kind="privilege_term",
        owasp=EXCESSIVE_AGENCY,
        pattern=_whole_words("admin(?:s|istrators?)?|root|sudo"),
        width=16,
        score=_SCORE,
        matches=("sudo rm", "root", "the admin's", "/root/", "administrator"),
        passes=("rooted", "pseudo", "administer", "grassroots"),
    ),
)


def suspicious_guard(policy: SuspiciousRule) -> PatternGuard:
    """The suspicious-terms guard; it reads prompts and answers, with the policy's own terms if it has any."""
    rules = RULES if policy.terms is None else _listed(policy.terms)
    directions = frozenset({"input", "output"})
    return PatternGuard("suspicious", rules, directions, policy.action, enforced=policy.mode == "enforce")


def _listed(terms: Sequence[str]) -> tuple[Rule, ...]:
    """One rule for the policy's terms, taken literally."""
    if not terms:
        return ()
    longest_first = sorted(set(terms), key=lambda term: (-len(term), term))
    pattern = _whole_words("|".join(literal(term) for term in longest_first))
    width = len(longest_first[0]) + 2
    return (Rule("suspicious.listed", "listed_term", PROMPT_INJECTION, pattern, width, _SCORE),)
