"""The published OpenAPI document against the running guard: every check of schemathesis, nothing left out.

Where a test changes what schemathesis made up, it says why.
"""

from __future__ import annotations

import re
import secrets

import msgspec
import schemathesis
import urllib3
from schemathesis.specs.openapi.checks import positive_data_acceptance

from shared.gateway.openapi import openapi_document
from shared.models.wire import MAX_TOOLS
from shared.policy import load_policy

SEED = 1_605
"""Fixed, so that a run that fails fails again."""

EXAMPLES = 40
"""Random requests for each operation; those at the borders of its schemas come on top, all of them."""

SECONDS = 20
"""Longest wait for one answer."""

DOCUMENT = openapi_document(load_policy().file)
CONFIG = schemathesis.Config.from_dict(
    {
        "seed": SEED,
        "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        "checks": {"enabled": True},
        "request-timeout": SECONDS,
    }
)
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


def use_an_idempotency_key_once(case):
    """A second body under the same key is a conflict, which would hide what else there is to say of it."""
    key = case.headers.get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = f"{key[:200]}-{secrets.token_hex(8)}"


def declare_the_chosen_tool(case):
    """JSON Schema cannot say that the name in ``tool_choice`` must be one of those in ``tools``."""
    match case.body:
        case {"tool_choice": {"function": {"name": str()} as function, "type": "function"}, **rest}:
            others = rest["tools"] if isinstance(rest.get("tools"), list) else []
            kept = others[: MAX_TOOLS - 1] if len(others) == MAX_TOOLS else others  # no more than may be, nor fewer
            case.body = {**case.body, "tools": [*kept, {"type": "function", "function": function}]}


def is_true_to_the_document(case, stack):
    """Send the request that schemathesis made up, and let all of its checks judge the answer."""
    use_an_idempotency_key_once(case)
    declare_the_chosen_tool(case)
    sent = {"base_url": stack.url, "headers": {"Authorization": f"Bearer {stack.key}"}}
    answer = case.call(**sent)
    # What a guard blocks is sound to the schema all the same; hypothesis takes such words from the guards' source.
    # And no schema can say that an object within a request is a JSON Schema that can be enforced.
    excluded = [positive_data_acceptance] if is_blocked(answer) else []
    case.validate_response(answer, excluded_checks=excluded, headers=sent["headers"], transport_kwargs=sent)


def is_blocked(answer):
    """Whether a guard refused it."""
    refusals = ("content_filter", "invalid_json_schema")
    return answer.status_code == 400 and answer.json().get("error", {}).get("code") in refusals


# A function for each operation: those that one ``parametrize`` makes of several share a node id under pytest 9,
# and xdist would run only the first of them.


@schema.include(operation_id="createChatCompletion").parametrize()
def test_chat(case, open_stack):
    is_true_to_the_document(case, open_stack)


@schema.include(operation_id="scan").parametrize()
def test_scan(case, open_stack):
    is_true_to_the_document(case, open_stack)


@schema.include(operation_id="listModels").parametrize()
def test_models(case, open_stack):
    is_true_to_the_document(case, open_stack)


@schema.include(operation_id="health").parametrize()
def test_health(case, open_stack):
    is_true_to_the_document(case, open_stack)


@schema.include(operation_id="openapi").parametrize()
def test_openapi(case, open_stack):
    is_true_to_the_document(case, open_stack)


@schema.include(operation_id="jwks").parametrize()
def test_jwks(case, open_stack):
    is_true_to_the_document(case, open_stack)


def test_the_document_is_the_one_that_is_served(open_stack):
    served = urllib3.request("GET", f"{open_stack.url}/openapi.json").json()
    assert served == msgspec.json.decode(msgspec.json.encode(DOCUMENT))


def test_no_operation_is_left_out():
    operations = {item["operationId"] for methods in DOCUMENT["paths"].values() for item in methods.values()}
    assert operations == {"createChatCompletion", "scan", "listModels", "health", "openapi", "jwks"}
