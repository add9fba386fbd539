"""The JSON Schema of ``policy.yaml``, made from its types."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.policy.types import PolicyFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) that editors and CI can check a policy with."""
    return {"$schema": DIALECT, "title": "Wardgate policy", **msgspec.json.schema(PolicyFile)}
