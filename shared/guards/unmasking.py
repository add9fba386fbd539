"""Turns placeholders in an answer back into what they stand for, where that cannot send it anywhere.

An answer may name an address that the model was talked into, and whoever shows the answer may fetch it or make a
link of it. So a placeholder stays as it is within an address, a link's target, an HTML tag or anything after a
script, style or frame, unless the policy says otherwise. Where in doubt it stays: nobody is harmed by a placeholder.

What surrounds a placeholder is read as CommonMark and HTML read it, but more broadly: a link's target begins with
``](`` and ends with its parenthesis or a blank line, a tag begins with ``<`` and a letter and ends with ``>`` outside
of quotes. The reading goes on from where it was, so it does not depend on how an answer was split.
"""

from __future__ import annotations

import msgspec

from shared.guards.masking import WORD, Masks
from shared.guards.parts import Form, answer_parts, with_texts
from shared.models.wire import ChatCompletion
from shared.policy.types import Unmasking
from shared.text.json_text import string_values

_BLANKS = " \t\n\r"
_OPENING = "([{\"'`*_~>|:;,-"
"""What may stand before a placeholder without being a part of an address."""

_CLOSING = ")]}\"'`*_~<|;,>"
"""What ends an address after a placeholder, or may at least."""

_STOPS = ".:!?…。．｡"
"""What ends a sentence, but is a part of an address where a letter follows."""

_LOOKAHEAD = 6
"""Characters after a placeholder that tell whether it is a part of an address."""

_MOST_RUN = 2048
"""Characters without a blank of which the beginning is remembered; what is longer is taken for an address."""

_ACTIVE = ("script", "style", "iframe", "object", "embed", "svg", "math", "template", "form")
"""Elements after which nothing is turned back: what follows may be code, or be sent."""


class Unmasker:
    """Turns placeholders back in one text, as it comes.

    Args:
        masks: What stands for what.
        links: Whether also within addresses and markup.
    """

    def __init__(self, masks: Masks, *, links: bool) -> None:
        self._masks = masks
        self._links = links
        self._pending = ""
        self._surroundings = _Surroundings()

    def add(self, fragment: str) -> str:
        """Take in the next fragment; answers what may leave now."""
        self._pending += fragment
        return self._advance(whole=False)

    def finish(self) -> str:
        """The text is complete; answers the rest."""
        return self._advance(whole=True)

    def _advance(self, *, whole: bool) -> str:
        text, at, pieces = self._pending, 0, []
        while (place := _placeholder_in(text, at, self._masks)) is not None:
            start, end = place
            self._surroundings.read(text[at:start])
            pieces.append(text[at:start])
            at = start
            if not whole and end + _LOOKAHEAD > len(text):
                break
            placeholder = text[start:end]
            free = self._links or (self._surroundings.free and _ends_free(text[end : end + _LOOKAHEAD]))
            pieces.append((self._masks.value(placeholder) if free else None) or placeholder)
            self._surroundings.read(placeholder)
            at = end
        else:
            settled = len(text) if whole else max(self._settled(text), at)
            self._surroundings.read(text[at:settled])
            pieces.append(text[at:settled])
            at = settled
        self._pending = text[at:]
        return "".join(pieces)

    def _settled(self, text: str) -> int:
        """How much of ``text`` cannot be the beginning of a placeholder."""
        return max(len(text.rstrip(WORD)), len(text) - self._masks.longest)


class _Surroundings:
    """Where in an address, a link or a tag a text stands."""

    def __init__(self) -> None:
        self._run = ""
        """What came since the last blank."""

        self._last = ""
        self._parentheses = 0
        """Open ones of a link's target, its own included; 0 outside of one."""

        self._tag = ""
        """What came of a tag since its ``<``; empty outside of one."""

        self._quote = ""
        self._active = False

    @property
    def free(self) -> bool:
        """Whether a placeholder that comes next stands in plain text, as far as what came before tells."""
        if self._active or self._tag or self._parentheses:
            return False
        run = self._run
        if not run:
            return True
        if len(run) > _MOST_RUN or any(mark in run for mark in "/\\@%&#="):
            return False
        if run[-1].isascii() and run[-1] not in _OPENING:
            return False
        if run[-1] == ":" and run[-2:-1].isalnum():  # as in mailto:
            return False
        return "." not in run.strip(_OPENING).rstrip(".")

    def read(self, text: str) -> None:
        """Go on over ``text``."""
        at = 0
        while at < len(text):
            if not self._tag and not self._parentheses:
                marks = [place for mark in "<(" if (place := text.find(mark, at)) != -1]
                self._remember(text[at : min(marks, default=len(text))])
                at = min(marks, default=len(text))
                if not marks:
                    return
            self._read(text[at])
            self._remember(text[at])
            at += 1

    def _remember(self, text: str) -> None:
        if not text:
            return
        blank = max(text.rfind(each) for each in _BLANKS)
        run = text[blank + 1 :] if blank != -1 else self._run + text
        self._run = run if len(run) <= _MOST_RUN else run[:_MOST_RUN] + run[-1]
        self._last = text[-1]

    def _read(self, character: str) -> None:
        if self._tag:
            self._read_in_tag(character)
        elif character == "<":
            self._tag = "<"
        elif self._parentheses:
            if character == "(":
                self._parentheses += 1
            elif character == ")":
                self._parentheses -= 1
            elif character == "\n" and self._last == "\n":
                self._parentheses = 0
        elif character == "(" and self._last == "]":
            self._parentheses = 1

    def _read_in_tag(self, character: str) -> None:
        if self._tag == "<" and not ((character.isascii() and character.isalpha()) or character in "/!?"):
            self._tag = "<" if character == "<" else ""
            if character == "(" and self._last == "]":
                self._parentheses = 1
            return
        if self._quote:
            if character == self._quote:
                self._quote = ""
        elif character in "\"'" and self._last in ("=", " "):
            self._quote = character
        elif character == ">":
            self._tag = ""
            return
        if len(self._tag) < 16:
            self._tag += character
            self._active = self._active or self._tag[1:].lower().startswith(_ACTIVE)


def unmask(text: str, masks: Masks, *, links: bool) -> str:
    """A whole text with its placeholders turned back."""
    if masks.nonce not in text:
        return text
    unmasker = Unmasker(masks, links=links)
    return unmasker.add(text) + unmasker.finish()


def unmask_json(text: str, masks: Masks, *, links: bool) -> str:
    """JSON with placeholders turned back inside its string values."""
    if masks.nonce not in text:
        return text
    pieces: list[str] = []
    at = 0
    for start, end in string_values(text):
        value = text[start:end]
        if masks.nonce in value and (decoded := _decoded(value)) is not None:
            pieces += (text[at:start], msgspec.json.encode(unmask(decoded, masks, links=links)).decode()[1:-1])
            at = end
    pieces.append(text[at:])
    return "".join(pieces)


def _decoded(value: str) -> str | None:
    try:
        return msgspec.json.decode(f'"{value}"', type=str)
    except msgspec.DecodeError:
        return None


def unmask_answer(answer: ChatCompletion, content_form: Form, masks: Masks, policy: Unmasking) -> ChatCompletion:
    """The answer as its reader gets it. Names, ids and, unless the policy says so, arguments stay as they are."""
    parts = answer_parts(answer, content_form)
    texts: dict[int, str] = {}
    for index, part in enumerate(parts):
        if part.form == "prose":
            passed = unmask(part.text, masks, links=policy.links)
        elif part.form == "json" and (policy.tool_arguments or part.slot != "arguments"):
            passed = unmask_json(part.text, masks, links=policy.links)
        else:
            continue
        if passed != part.text:
            texts[index] = passed
    return with_texts(answer, parts, texts)


def _placeholder_in(text: str, at: int, masks: Masks) -> tuple[int, int] | None:
    """The range of the first placeholder of this request in ``text`` from ``at`` on."""
    nonce = text.find(masks.nonce, at)
    while nonce != -1:
        end = nonce + len(masks.nonce)
        before = text[max(end - masks.longest, at) : nonce]
        for start in range(nonce - (len(before) - len(before.rstrip(WORD))), nonce):
            if masks.value(text[start:end]) is not None:
                return start, end
        nonce = text.find(masks.nonce, end)
    return None


def _ends_free(after: str) -> bool:
    """Whether an address that would go on with ``after`` has ended."""
    rest = after.lstrip(_STOPS)
    if not rest or rest[0] in _BLANKS:
        return True
    if rest != after:  # a letter after a full stop would be the next label of a host's name
        return rest[0] in _CLOSING or (after[0] == "。" and not rest[0].isascii())
    return rest[0] in _CLOSING or not rest[0].isascii()
