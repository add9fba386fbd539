"""The kinds of secrets and personal data that guards know, and what is done about each where a policy says nothing."""

from __future__ import annotations

from typing import Literal

PromptAction = Literal["block", "redact", "mask", "flag", "off"]
AnswerAction = Literal["block", "redact", "flag", "off"]

Default = tuple[PromptAction, AnswerAction]
"""What is done in prompts and in answers."""

SecretKind = Literal[
    "anthropic_key",
    "aws_key",
    "azure_key",
    "bearer_token",
    "connection_string",
    "github_token",
    "gitlab_token",
    "google_key",
    "high_entropy",
    "huggingface_token",
    "jwt",
    "npm_token",
    "openai_key",
    "password",
    "private_key",
    "pypi_token",
    "service_token",
    "slack_token",
    "stripe_key",
    "wardgate_key",
]

PiiKind = Literal[
    "be_national_number",
    "br_cpf",
    "ca_sin",
    "card",
    "ch_ahv",
    "de_tax_id",
    "email",
    "es_dni",
    "fr_nir",
    "iban",
    "in_aadhaar",
    "ip_address",
    "it_codice_fiscale",
    "mx_curp",
    "nl_bsn",
    "phone",
    "pl_pesel",
    "uk_nhs",
    "uk_nino",
    "us_ssn",
]

HIDE: Default = ("mask", "redact")
"""Nobody needs it in clear: a model can work with a placeholder, and an answer has no business with it."""

TELL: Default = ("flag", "flag")

DEFAULTS: dict[str, Default] = {
    # What only looks like a secret is common in the code that answers are made of.
    "password": ("mask", "flag"),
    "high_entropy": TELL,
    # Without its address a model cannot help with a letter, and an answer may name where help is to be had.
    "email": TELL,
    "phone": TELL,
    "ip_address": TELL,
}
"""By kind; ``HIDE`` for every other."""
