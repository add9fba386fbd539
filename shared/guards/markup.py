"""HTML in answers (LLM02): whoever shows an answer as HTML, or as Markdown that lets HTML through, runs what is in it.

Each tag is judged by itself, its attributes as html5ever reads them: what the policy does not allow becomes
text (``&lt;script>``), and a tag that is allowed loses attributes that are not. Names that HTML does not
know, as in ``List<String>``, are left alone as long as they carry no values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from shared.guards.addresses import RUNNING, read_address
from shared.guards.owasp import INSECURE_OUTPUT_HANDLING
from shared.guards.port import Action, Context, Finding, growing
from shared.policy.types import MarkupRule
from shared.text.canonical import Text
from shared.text.html_tags import MOST_TAG, Tag, attributes, tags, unfinished
from shared.text.markdown_code import code_in, open_span

_EVERYWHERE = frozenset({"dir", "lang", "title"})
"""Attributes that every element may have."""

_NAMES = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body "
    "br button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em "
    "embed fencedframe fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header "
    "hgroup hr html i iframe image img input ins isindex kbd keygen label legend li link listing main map mark "
    "marquee math menu menuitem meta meter multicol nav nextid nobr noembed noframes noscript object ol optgroup "
    "option output p param picture plaintext portal pre progress q rb rbc rp rt rtc ruby s samp script search section "
    "select selectedcontent slot small source spacer span strike strong style sub summary sup svg table tbody td "
    "template textarea tfoot th thead time title tr track tt u ul var video wbr xmp"
)
_KNOWN = frozenset(_NAMES.split())
"""Elements of HTML, past ones too, whose mere name makes a browser do something, and the doors to SVG and MathML."""


class _Fault(Struct, frozen=True):
    """What is wrong with a tag."""

    kind: str
    score: float
    end: int
    """The end of what goes, from the tag's start on."""

    replacement: str


class MarkupGuard:
    """Finds tags and attributes that the policy does not allow."""

    name = "markup"
    directions = frozenset({"output"})
    reach = growing(
        lambda text: max(min(unfinished(text, max(len(text) - MOST_TAG, 0)), open_span(text)), len(text) - MOST_TAG, 0),
        context=1,
        most=MOST_TAG,
        replaces=MOST_TAG,
    )

    def __init__(self, policy: MarkupRule) -> None:
        self._policy = policy
        self._enforced = policy.mode == "enforce"

    def clears(self, joined: str) -> bool:
        """Whether no tag can be in any of the joined texts."""
        return "<" not in joined

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A finding for every tag that may not stay as it is; code is left alone, unless the policy says otherwise."""
        flagged = context.path.endswith(".arguments") and not self._policy.tool_arguments
        action: Action = "flag" if flagged else self._policy.action
        found: dict[tuple[int, int], Finding] = {}
        for view in text.views:
            if "<" not in view.text:
                continue
            code = None if self._policy.in_code else code_in(view.text, context.before)
            for tag in tags(view.text, context.since if view is text.views[0] else 0):
                if tag.name and not (code is not None and code.holds(tag.start)):
                    for fault in self._faults(tag, view.text):
                        span = view.span(tag.start, fault.end)
                        finding = Finding(
                            self.name,
                            fault.kind,
                            INSECURE_OUTPUT_HANDLING,
                            span,
                            fault.score,
                            action,
                            self._enforced,
                            replacement=fault.replacement,
                        )
                        found.setdefault(span, finding)
        return [found[span] for span in sorted(found)]

    def _faults(self, tag: Tag, text: str) -> Iterator[_Fault]:
        read = [] if tag.closing else attributes(text[tag.start : tag.end])
        if tag.name not in self._allowed:
            if tag.name in _KNOWN or any(value for _, value in read):
                yield _Fault("disallowed_tag", 0.8, tag.start + 1, "&lt;")
            return
        allowed = self._attributes.get(tag.name, _EVERYWHERE)
        for name, value in sorted(read, key=lambda each: not each[0].startswith("on")):
            if name.startswith("on") or read_address(value).scheme in RUNNING:
                yield _Fault("script_attribute", 0.9, tag.end, f"<{tag.name}>")
            elif name not in allowed:
                yield _Fault("disallowed_attribute", 0.4, tag.end, f"<{tag.name}>")

    @cached_property
    def _allowed(self) -> frozenset[str]:
        if self._policy.tags is not None:
            return frozenset(self._policy.tags)
        import nh3  # only answers with markup pay for it

        return frozenset(nh3.ALLOWED_TAGS)

    @cached_property
    def _attributes(self) -> Mapping[str, frozenset[str]]:
        import nh3

        return {tag: frozenset({*names, *_EVERYWHERE}) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
