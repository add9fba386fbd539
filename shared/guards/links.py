"""Links of answers (LLM02): what an answer links to is where whoever planted the link gets to.

An image in Markdown is fetched as soon as it is shown, with whatever the model was made to put into its
address. So a link goes through only if its host is on the policy's list or was named in trusted input.
Nothing here ever fetches anything. Places are looked for more widely than one renderer would, since
renderers differ; what an address is there is then read by parsers: markdown-it's for a destination's
escapes and entities, html5ever's for attributes, the WHATWG's rules for the address itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import partial

import re2  # type: ignore[import-untyped]  # ships no types
from msgspec import Struct
from msgspec.structs import replace

from shared.guards.addresses import DEFANGED, RUNNING, Address, Hosts, named, read_address
from shared.guards.owasp import INSECURE_OUTPUT_HANDLING
from shared.guards.port import Action, Background, Context, Finding, Reach, growing
from shared.later import Later
from shared.models.wire import DeveloperMessage, Message, SoleTextPart, SystemMessage, TextPart, UserMessage
from shared.policy.types import LinksRule
from shared.text.canonical import Text
from shared.text.html_tags import MOST_TAG, attributes, tags, unfinished
from shared.text.markdown_code import code_in, open_span
from shared.text.views import View

MOST_AUTHORITY = 300
"""Characters of an address up to the end of its host; a host's name has at most 253."""

_LOOK_BACK = 128
"""Characters before a destination in which it is looked for what makes it an image."""

_MOST_GAP = 64
"""White space before a destination."""

_COLON = r"(?:\\?:|&#0{0,5}58;?|&#x0{0,5}3a;?|&colon;)"
_SLASH = r"(?:\\?[/\\]|&#0{0,5}(?:47|92);?|&#x0{0,5}(?:2f|5c);?|&(?:sol|bsol);)"
_PLACES = (
    rf"((?:https?|wss?|ftp){_COLON}{_SLASH}{_SLASH}?(?:\[[0-9a-f:.]{{2,45}}\])?[^\s<>\"'`()\[\]{{}}|/\\?#]{{0,{MOST_AUTHORITY}}})"
    rf"|(?:^|[^a-z0-9_.@/\\-])(www\.[^\s<>\"'`()\[\]{{}}|/\\?#]{{1,{MOST_AUTHORITY}}})"
    rf"|(?:url\(|@import)[\s\"']{{0,8}}([/\\][/\\][^\s<>\"'`()/\\?#]{{1,{MOST_AUTHORITY}}})"
)
"""Addresses wherever they stand: absolute, by ``www.``, and those of style sheets that take the page's own scheme."""

_TRIGGER = r"\]\(|\]:|:\s{1,64}[/\\]|<[a-z/]|url\(|@import|www\.|(?:https?|wss?|ftp)(?:\\?:|&)"
_TRAILING = ".,;!?*_~"
_DESTINATION = re.compile(r"\][(:]\s{0,64}|:\s{1,64}(?=[/\\][/\\])")
"""What stands before a destination; any colon, since ``[FILTERED]`` may come to stand before it."""

_PLAIN = re.compile(r"https?://[A-Za-z0-9.\-]{1,253}[/?#)\s]")
_ADDRESS = re.compile(r"[:&]|[/\\][ \t\n]?[/\\]")
"""Without one of these an attribute leads to no other host."""

_USER = re.compile(rb"\\[^\s/?#]{0,300}@")
"""What a browser takes for a path, and most other programs for the rest of a user's name."""

_LEADS = re.compile(r"[</\\&]|[A-Za-z][A-Za-z0-9+.\-]{0,31}[:&\\]")
"""How a destination begins that leads to another host, be it escaped."""

_WORD = re.compile(r"[^\s)]{1,512}")
_ASCII = re.compile(r"[!-~]+")
_PIECES = re.compile(r"[^\s,;()'\"=]+")
_DROPPED = dict.fromkeys(map(ord, "\t\n\r"))
_LOADING = frozenset(
    {"background", "code", "content", "data", "imagesrcset", "ping", "poster", "src", "srcset", "style", "xlink:href"}
)
_ATTRIBUTE = re.compile(
    r"(?i)(?:background|code|content|data|poster|src(?:set)?|xlink:href)\s{0,8}=\s{0,8}[\"']?\Z|url\([\"']?\Z"
)
_STARTS = re.compile(r"[:<&\\(`@]|www")
_LONGEST_START = 8
"""Characters of ``@import``, the longest word by which an address begins, and one before it."""

_SPACE = re.compile(r"\s")
_CLOSED = re.compile(r"[>\n]")


class _Place(Struct, frozen=True):
    """An address in a text."""

    start: int
    end: int
    address: Address
    loads: bool
    """Whether it is fetched without a click."""

    exact: bool
    """Whether scheme and host stand there as they are, so that they alone can be replaced."""


class LinkGuard:
    """Finds links that lead elsewhere than the policy, or trusted input, says."""

    name = "links"
    directions = frozenset({"output"})
    reach: Reach

    def __init__(self, policy: LinksRule) -> None:
        options = re2.Options()
        options.case_sensitive = False
        self._trigger = re2.compile(_TRIGGER.encode(), options)
        self._places = Later(partial(re2.compile, _PLACES.encode(), options))
        self._hosts = Hosts(policy.hosts)
        self._schemes = frozenset(policy.schemes)
        self._trust = frozenset(policy.trust)
        self._policy = policy
        self._enforced = policy.mode == "enforce"
        self.reach = growing(_undecided, context=_LOOK_BACK + _MOST_GAP, most=MOST_TAG, replaces=MOST_AUTHORITY + 20)

    def clears(self, joined: str) -> bool:
        """Whether nothing in any of the joined texts looks like a link."""
        return self._trigger.search(joined.encode()) is None

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A finding for every link that leads elsewhere; links in code count where the policy says so."""
        action: Action | None = None
        if context.path.endswith(".arguments") and not self._policy.tool_arguments:
            action = "flag"
        found: dict[tuple[int, int], Finding] = {}
        for view in text.views:
            code = None if self._policy.in_code else code_in(view.text, context.before)
            since = max(context.since - _LOOK_BACK, 0) if view is text.views[0] else 0
            for place in self._found(view.text, since):
                if code is not None and code.holds(place.start):
                    continue
                finding = self._judge(place, view, context.background, action)
                if finding is not None:
                    found.setdefault(finding.span, finding)
        return [found[span] for span in sorted(found)]

    def _found(self, text: str, since: int) -> Iterator[_Place]:
        yield from self._anywhere(text, since)
        yield from _destinations(text, since)
        yield from _in_tags(text, since)

    def _anywhere(self, text: str, since: int) -> Iterator[_Place]:
        encoded = text.encode()
        at, start = len(text[:since].encode()), since
        for match in self._places().finditer(encoded, at):
            group = next(number for number in (1, 2, 3) if match.start(number) != -1)
            first, last = match.span(group)
            start += len(encoded[at:first].decode())
            at = first
            raw = encoded[first:last].decode().rstrip(_TRAILING)
            written = html.unescape(raw.replace("\\", ""))
            address = read_address(written if group != 2 else f"//{written}")
            if _USER.match(encoded, last):
                address = replace(address, disguised=True)
            length = 0
            if written == raw and (ascii_part := _ASCII.match(raw)):
                length = ascii_part.end()  # the rest of a name in other letters is harmless without its beginning
                if length < len(raw):
                    address = replace(address, host=read_address(ascii_part[0]).host or address.host, foreign=True)
            yield _Place(start, start + (length or len(raw)), address, _loads(text, start), exact=length > 0)

    def _judge(self, place: _Place, view: View, background: Background | None, action: Action | None) -> Finding | None:
        address = place.address
        kind, score = "foreign_link", 0.6
        if address.scheme in DEFANGED:
            return None
        if address.scheme and address.scheme not in self._schemes:
            kind, score = "unsafe_scheme", 0.9
        elif address.disguised:
            kind, score = "disguised_link", 0.9
        elif not address.host or (not address.foreign and self._passes(address.host, background)):
            return None
        elif place.loads:
            kind, score = "foreign_image", 0.8
        if action is None:
            clicked = kind == "foreign_link" and self._policy.clickable is not None
            action = self._policy.clickable if clicked and self._policy.clickable else self._policy.action
        replacement = address.defanged if place.exact and not address.disguised and kind != "unsafe_scheme" else None
        return Finding(
            self.name,
            kind,
            INSECURE_OUTPUT_HANDLING,
            view.span(place.start, place.end),
            score,
            action,
            self._enforced,
            replacement=replacement,
        )

    def _passes(self, host: str, background: Background | None) -> bool:
        if background is None or self._hosts.hold(host):
            return self._hosts.hold(host)
        return host in background.once((self.name, "trusted"), lambda: named(_trusted_text(background, self._trust)))


def _destinations(text: str, since: int) -> Iterator[_Place]:
    """Destinations of inline links and of definitions, wherever there could be one."""
    for opened in _DESTINATION.finditer(text, since):
        start = opened.end()
        if _PLAIN.match(text, start) or not _LEADS.match(text, start):
            continue  # found as it stands, or leads nowhere else
        from markdown_it.helpers import parseLinkDestination  # only answers with such links pay for it

        read = parseLinkDestination(text, start, min(len(text), start + MOST_AUTHORITY + 20))
        if read.ok:
            written, end = read.str, read.pos
        else:
            raw = _WORD.match(text, start)
            written, end = (html.unescape(raw[0]), raw.end()) if raw else ("", start)
        start += text.startswith("<", start)
        yield from _place_of(written, text, start, end, loads=_loads(text, start))


def _in_tags(text: str, since: int) -> Iterator[_Place]:
    """Addresses in attributes, and autolinks."""
    for tag in tags(text, since):
        written = text[tag.start : tag.end]
        if ":" in tag.name and read_address(tag.name).scheme in RUNNING:
            yield from _place_of(written[1:].rstrip(">"), text, tag.start + 1, tag.end, loads=False)
        if not tag.name or _ADDRESS.search(written) is None:
            continue
        for name, value in attributes(written):
            value = value.translate(_DROPPED)
            for piece in (value, *_PIECES.findall(value)):
                address = read_address(piece)
                if address.host or address.scheme in RUNNING:
                    at = text.find(piece, tag.start, tag.end)
                    start, end = (tag.start, tag.end) if at == -1 else (at, at + len(piece))
                    yield from _place_of(piece, text, start, end, loads=name in _LOADING)


def _place_of(written: str, text: str, start: int, end: int, *, loads: bool) -> Iterator[_Place]:
    """The place of an address between ``start`` and ``end``, narrowed to scheme and host where it can be."""
    address = read_address(written)
    if not (address.scheme or address.host):
        return
    exact = text.startswith(written, start)
    length = address.length or (len(address.scheme) + 1 if written.lower().startswith(f"{address.scheme}:") else 0)
    narrow = exact and 0 < length <= MOST_AUTHORITY
    yield _Place(start, start + length if narrow else end, address, loads, exact and address.length > 0)


def _loads(text: str, start: int) -> bool:
    """Whether what is linked to at ``start`` is fetched without a click, or may be: a definition can be an image's."""
    before = text[max(start - _LOOK_BACK, 0) : start].rstrip().removesuffix("<").rstrip()
    if before.endswith("]("):
        return before.rfind("![") > before.rfind("](", 0, -2)
    return before.endswith("]:") or _ATTRIBUTE.search(before) is not None


def _trusted_text(background: Background, trust: frozenset[str]) -> str:
    """All text that may name hosts, in lower case."""
    texts = [background.system_prompt or ""]
    for message in background.request.messages:
        if _role(message) in trust:
            content = message.content
            parts = content if isinstance(content, list) else ()
            texts += [content] if isinstance(content, str) else []
            texts += [part.text for part in parts if isinstance(part, TextPart | SoleTextPart)]
    return "\n".join(texts).lower()


def _role(message: Message) -> str:
    if isinstance(message, SystemMessage | DeveloperMessage):
        return "system"
    return "user" if isinstance(message, UserMessage) else ""


def _undecided(text: str) -> int:
    """Where the last word begins, or a code span, tag or destination that is open; ``MOST_TAG`` back at most."""
    size = len(text)
    floor = max(size - MOST_TAG, 0)
    start = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1
    tail = text[floor:].lower()
    word = tail[max(start - floor, 0) :]
    at = start if _STARTS.search(word) else max(start, size - _LONGEST_START)
    at = min(at, open_span(text), unfinished(text, floor))
    for opener in ("](", ":", "url(", "@import"):
        found = tail.rfind(opener)
        if found != -1:
            rest = tail[found + len(opener) :].lstrip()
            if not _SPACE.search(rest) or (rest.startswith("<") and not _CLOSED.search(rest)):
                at = min(at, floor + found)
    return max(at, floor)
