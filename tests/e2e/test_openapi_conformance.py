"""The published OpenAPI document against the running guard: every check of schemathesis, nothing left out."""

from __future__ import annotations

import pytest
import schemathesis

SEED = 1_605
"""Fixed, so that a run that fails fails again."""

EXAMPLES = 60
"""Random requests for each operation; those at the borders of its schemas come on top, all of them."""

SECONDS = 20
"""Longest wait for one answer."""


@pytest.fixture(scope="module")
def document(open_stack):
    """The document as guard serves it, and how to try it: valid and invalid data, with a valid key."""
    config = schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "auth": {"openapi": {"bearer": {"bearer": open_stack.key}}},
            "checks": {"enabled": True},
            "request-timeout": SECONDS,
        }
    )
    return schemathesis.openapi.from_url(f"{open_stack.url}/openapi.json", config=config)


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
def test_guard_does_what_its_document_says(case):
    case.call_and_validate()


def test_every_route_is_in_the_document(document):
    assert {operation.ok().label for operation in document.get_all_operations()} == {
        "POST /v1/chat/completions",
        "GET /v1/models",
        "POST /v1/scan",
        "GET /healthz",
        "GET /openapi.json",
        "GET /.well-known/jwks.json",
    }
