"""The guards' pages say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.guards import injection_rules, suspicious
from shared.guards.patterns import Rule
from shared.guards.pipeline import Pipeline
from shared.policy.types import Guards

PIPELINE = Pipeline(Guards())
PAGES = Path(__file__).parents[2] / "docs" / "guards"


@pytest.mark.parametrize(
    "page", ["sizes", *sorted({run.guard for way in ("input", "output") for run in PIPELINE.not_run(way)})]
)
def test_every_guard_has_a_page_with_the_same_four_questions(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text()
    for question in ("**Attack.**", "**How it is seen.**", "**What it misses.**", "**How to tune it.**"):
        assert question in text
    assert f"({page}.md)" in (PAGES / "README.md").read_text()


@pytest.mark.parametrize("rule", injection_rules.RULES + suspicious.RULES, ids=lambda rule: rule.id)
def test_every_kind_is_on_its_guards_page(rule: Rule) -> None:
    assert f"`{rule.kind}`" in (PAGES / f"{rule.id.partition('.')[0]}.md").read_text()
