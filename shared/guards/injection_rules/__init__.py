"""The rules against prompt injection, a module for each family of attacks."""

from __future__ import annotations

from shared.guards.injection_rules import (
    extraction,
    further_languages,
    indirect,
    languages,
    obfuscation,
    override,
    persona,
    roles,
)
from shared.guards.injection_rules.rule import InjectionRule

RULES: tuple[InjectionRule, ...] = (
    *override.RULES,
    *roles.RULES,
    *obfuscation.RULES,
    *persona.RULES,
    *extraction.RULES,
    *indirect.RULES,
    *languages.RULES,
    *languages.OTHER_SCRIPTS,
    *further_languages.RULES,
    *further_languages.OTHER_SCRIPTS,
)

TOGETHER: tuple[tuple[InjectionRule, ...], ...] = (
    tuple(rule for rule in RULES if rule.reads == "text"),
    *(
        tuple(rule for rule in family if rule.reads == "words")
        for family in (
            (*override.RULES, *roles.RULES, *obfuscation.RULES),
            persona.RULES,
            extraction.RULES,
            indirect.RULES,
            languages.RULES,
            further_languages.RULES,
            (*languages.OTHER_SCRIPTS, *further_languages.OTHER_SCRIPTS),
        )
    ),
)
"""Rules that are compiled together: the automaton of a few stays small, that of all would not."""
