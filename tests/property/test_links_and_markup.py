"""Links and markup against a real renderer, and however an answer is split."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.guards.addresses import RUNNING, read_address
from shared.guards.answer import assemble
from shared.guards.pipeline import Pipeline
from shared.guards.port import Background
from shared.guards.stream import AnswerStream
from shared.policy.types import CanaryRule, GuardRule, Guards, LinksRule, MarkupRule, SuspiciousRule
from shared.text.html_tags import attributes, tags
from tests.support.chats import answer, chat, stream_of

OFF = {"injection": GuardRule(mode="off"), "suspicious": SuspiciousRule(mode="off")}
PIPELINE = Pipeline(Guards(links=LinksRule(hosts=["good.example"]), **OFF))
LINKS_ALONE = Pipeline(Guards(links=LinksRule(hosts=["good.example"]), markup=MarkupRule(mode="off"), **OFF))

PIECES = (
    *(
        "`",
        "``",
        "```",
        "```\n",
        "\n```\n",
        "\n",
        "\n\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n> ",
        "\n1. ",
        "- ",
        "> ",
        "~~~\n",
    ),
    *("![x](", "[x](", ")", "](", "[1]: ", "[x][1]", "[", "]", "<", ">", "\\", "|", "| ", "\n|-|-|\n", "$$\n", "&"),
    *("https://evil.example", "//evil.example/a", "https&#58;//evil.example", "javascript:x", "https://good.example"),
    *(
        "https://good.example@evil.example",
        "http:\\\\evil.example",
        "www.evil.example",
        "é",
        "。",
        "/",
        "?q=",
        " ",
        "a ",
    ),
    *("<img src=", "<a href='", "'", '"', "'>", " onerror=x>", "<script>", "<!-- ", "-->", "<div>\n", "<b>", "</b>"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
RENDERER = MarkdownIt("commonmark").enable("table")
RENDERER.validateLink = lambda url: True  # a renderer that lets everything through


def links(text: str) -> Iterator[str]:
    """Every address that a renderer of Markdown makes of ``text``, whatever it is."""
    pending: list[Token] = list(RENDERER.parse(text))
    for token in pending:
        pending += token.children or ()
        yield from (str(token.attrs[name]) for name in ("href", "src") if name in token.attrs)
        if token.type in ("html_inline", "html_block"):
            for tag in (tag for tag in tags(token.content) if tag.name):
                yield from (value for _, value in attributes(token.content[tag.start : tag.end]))


def redacted(pipeline: Pipeline, text: str) -> str:
    inspection = pipeline.inspect_answer(answer(text), chat("x"))
    assert not inspection.faults
    return inspection.completion.choices[0].message.content or ""


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("- ```\n  a\n  ```\n![x](//evil.example/a)")
@example("<div>\n```\n\n![x](//evil.example/a)")
@example("| ` | ![x](//evil.example/a) | ` |\n|-|-|-|\n")
@example("a `b\n` ![x](//evil.example/a) `\n")
@example("[a](`) ![x](//evil.example/a) `\n")
@example("<a title='`'> ![x](//evil.example/a) `")
def test_no_renderer_finds_a_link_elsewhere_in_what_goes_on(text: str) -> None:
    for written in links(redacted(LINKS_ALONE, text)):
        address = read_address(written)
        assert address.host in ("", "good.example"), f"{text!r} {written!r} {redacted(LINKS_ALONE, text)!r}"
        assert not address.disguised
        assert address.scheme not in RUNNING


@st.composite
def split(draw: st.DrawFn) -> list[str]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@settings(max_examples=400, deadline=None)
@given(split())
@example(["`a", "` <b onclick=x", ">"])
@example(["https://ev", "il.example", "/x", " `", "`"])
@example(["[a](", "\n", "//ev", "il.example"])
def test_a_stream_becomes_what_the_whole_becomes(pieces: list[str]) -> None:
    whole = PIPELINE.inspect_answer(answer("".join(pieces)), chat("x"))
    content = whole.completion.choices[0].message.content or ""
    stream = AnswerStream(PIPELINE, chat("x"))
    sent = []
    for chunk in stream_of(pieces):
        sent += stream.feed(chunk)
        shown = "".join(choice.message.content or "" for choice in assemble(sent).choices)
        assert content.startswith(shown), f"{pieces!r} {shown!r} {content!r}"
        assert isinstance(stream.hold_back, int)
    assert shown == content
    assert stream.inspection().findings == whole.findings


CANARY = "knpqzrcxvbmwyhtd"
SHIPPED = Pipeline(Guards(canary=CanaryRule(action="redact")))
SECRETS = (
    CANARY,
    CANARY[::-1],
    " ".join(CANARY[:8]),
    "ann@mail.example ",
    "AKIAIOSFODNN7EXAMPLE",
    "4111 1111 1111 1111",
    "x",
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES + SECRETS), max_size=12).map("".join),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_all_guards_that_ship_agree_on_streams(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    background = Background(chat("x"), "a prompt", CANARY)
    whole = SHIPPED.inspect_answer(answer(text), chat("x"), background)
    content = whole.completion.choices[0].message.content or ""
    stream = AnswerStream(SHIPPED, chat("x"), Background(chat("x"), "a prompt", CANARY))
    sent = []
    for chunk in stream_of([text[start:end] for start, end in pairwise(places)]):
        sent += stream.feed(chunk)
        shown = "".join(choice.message.content or "" for choice in assemble(sent).choices)
        assert content.startswith(shown), f"{text!r} {cuts!r} {shown!r} {content!r}"
    assert shown == content
    assert CANARY not in shown


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_no_text_makes_a_guard_raise(text: str) -> None:
    redacted(PIPELINE, text)
    assert not PIPELINE.inspect_text(text, "output").faults
