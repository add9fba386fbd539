"""docs/policy.md names every field that a policy may have."""

import re
from pathlib import Path

import msgspec
import pytest

from shared.policy import types

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
SECTIONS = [
    section
    for section in vars(types).values()
    if isinstance(section, type) and issubclass(section, types.Section) and section is not types.Section
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_field_is_described(section: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(section):
        assert re.search(rf"`(\w+\.)?{field.encode_name}[.`]", PAGE), f"{section.__name__}.{field.encode_name}"
