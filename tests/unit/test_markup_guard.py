"""HTML in answers. The attacks are the usual ones of cross-site scripting."""

from __future__ import annotations

from typing import Any

import pytest

from shared.guards.pipeline import Pipeline
from shared.policy.types import Guards, LinksRule, MarkupRule
from shared.text.html_tags import tags
from tests.support.chats import answer, chat, tool


def passed(text: str, **rule: Any) -> tuple[str | None, list[str]]:
    pipeline = Pipeline(Guards(markup=MarkupRule(**rule), links=LinksRule(mode="off")))
    inspection = pipeline.inspect_answer(answer(text), chat("x"))
    assert not inspection.faults
    return inspection.completion.choices[0].message.content, [
        finding.kind for finding in inspection.findings if finding.guard == "markup"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a < b && c > d; 1 <2; <3",
        "List<String>, Map<K, V>, <your-name>, <think>hm</think>",
        "<b>bold</b><br/><details><summary>x</summary>y</details><a href='https://x.example' title='t'>z</a>",
        "`<script>` and\n```html\n<script>alert(1)</script>\n```",
        "<!-- a comment -->",
    ],
)
def test_harmless_markup_stays(text: str) -> None:
    assert passed(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "becomes", "kinds"),
    [
        ("<script>x</script>", "&lt;script>x&lt;/script>", ["disallowed_tag"] * 2),
        ("<ScRiPt src=x>", "&lt;ScRiPt src=x>", ["disallowed_tag"]),
        ("<img src=x onerror=alert(1)>", "<img>", ["script_attribute"]),
        ("<img src=x onerror=alert(1)", "<img>", ["script_attribute"]),
        ("<IMG/SRC='x'/ONERROR=y>", "<img>", ["script_attribute"]),
        ("<svg/onload=alert(1)>", "&lt;svg/onload=alert(1)>", ["disallowed_tag"]),
        ("<x onclick=alert(1)>y", "&lt;x onclick=alert(1)>y", ["disallowed_tag"]),
        ("<iframe srcdoc='<b>'>", "&lt;iframe srcdoc='<b>'>", ["disallowed_tag"]),
        ("<a href=javascript:x>", "<a>", ["script_attribute"]),
        ("<a href='&#106;ava\nscript:x'>", "<a>", ["script_attribute"]),
        ("<p title='>' onclick=x>", "<p>", ["script_attribute"]),
        ("<div class=x>", "<div>", ["disallowed_attribute"]),
        ("<scr<script>ipt>", "<scr&lt;script>ipt>", ["disallowed_tag"]),
        ("<form action=/x><input name=y>", "&lt;form action=/x>&lt;input name=y>", ["disallowed_tag"] * 2),
        ("<a title='`'><script>`", "<a title='`'>&lt;script>`", ["disallowed_tag"]),
    ],
)
def test_what_is_not_allowed_becomes_text(text: str, becomes: str, kinds: list[str]) -> None:
    assert passed(text) == (becomes, kinds)
    assert passed(becomes)[1] == []


def test_the_policy_may_name_the_tags() -> None:
    assert passed("<b><i>x</i></b>", tags=["b"])[0] == "<b>&lt;i>x&lt;/i></b>"
    assert passed("<b>x</b>", tags=[])[0] == "&lt;b>x&lt;/b>"
    assert passed("`<script>`", in_code=True)[0] == "`&lt;script>`"


def test_blocking_and_monitoring() -> None:
    assert passed("<script>", action="block")[0] is None
    assert passed("<script>", mode="monitor") == ("<script>", ["disallowed_tag"])


def test_tool_arguments_are_flagged_only() -> None:
    made = answer(None, calls=[("show", '{"html": "<script>"}')])
    inspection = Pipeline(Guards()).inspect_answer(made, chat("x", tools=[tool("show")]))
    assert (inspection.verdict, [finding.kind for finding in inspection.findings]) == ("flag", ["disallowed_tag"])
    acting = Pipeline(Guards(markup=MarkupRule(tool_arguments=True))).inspect_answer(
        made, chat("x", tools=[tool("show")])
    )
    (call,) = acting.completion.choices[0].message.tool_calls or ()
    assert call.function.arguments == '{"html": "&lt;script>"}'


def test_a_name_has_an_end() -> None:
    long = "<a" + "x" * 600
    assert passed(f"{long}<script>") == (f"{long}&lt;script>", ["disallowed_tag"])
    assert [(tag.name[:2], tag.complete) for tag in tags(f"{long}>")] == [("ax", False)]
