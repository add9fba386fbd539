"""Grounding (LLM09): links and citations in an answer that nothing in its conversation holds, so somebody should look.

A model makes up addresses and sources as easily as it tells them. This does not know whether an answer is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from shared.guards.owasp import OVERRELIANCE
from shared.guards.parts import request_parts
from shared.guards.port import Background, Bindable, Context, Finding, Guard, Reach
from shared.policy.types import GroundingRule
from shared.text.canonical import Text

_LINK = re.compile(r"https?://[^\s<>\"'`()\[\]{}|]{1,2000}", re.IGNORECASE)
_CITATION = re.compile(r"\[(?:doc|source|ref)?[ _-]?[0-9]{1,3}\]|【[^】]{1,64}】", re.IGNORECASE)
_TRAILING = ".,;:!?*_~"
_MOST_UNKNOWN = 100
"""Findings in one text: more are not told anyway, and each takes a look at all that the model was given."""


class GroundingGuard(Bindable):
    """Compares answers with what was asked and given."""

    name = "grounding"
    directions = frozenset({"output"})

    def __init__(self, policy: GroundingRule) -> None:
        self._policy = policy

    def for_answer(self, background: Background) -> Guard | None:
        """A guard that knows the conversation."""
        return _Conversation(background, self._policy)


class _Conversation:
    """Compares answers with one conversation, which is read once a link or a citation asks for it."""

    name = GroundingGuard.name
    directions = GroundingGuard.directions
    reach = Reach(None)

    def __init__(self, background: Background, policy: GroundingRule) -> None:
        self._background = background
        self._policy = policy

    def clears(self, joined: str) -> bool:
        """Whether there is neither a link nor a citation in any of the joined texts."""
        return "://" not in joined and "[" not in joined and "【" not in joined

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """A flag for every link, and every citation, that the conversation does not hold."""
        if context.path.endswith((".arguments", ".name", ".id")):
            return ()
        found: dict[tuple[int, int], Finding] = {}
        for view in text.views:
            for kind, start, end in islice(self._unknown(view.text), _MOST_UNKNOWN):
                span = view.span(start, end)
                enforced = self._policy.mode == "enforce"
                found.setdefault(span, Finding(self.name, kind, OVERRELIANCE, span, 0.5, self._policy.action, enforced))
        return [found[span] for span in sorted(found)]

    def _unknown(self, text: str) -> Iterator[tuple[str, int, int]]:
        for match in _LINK.finditer(text):
            link = match[0].rstrip(_TRAILING)
            if not self._holds(link.casefold()):
                yield "ungrounded_link", match.start(), match.start() + len(link)
        given = self._background.once((self.name, "citations"), lambda: _CITATION.search(self._given()) is not None)
        for match in _CITATION.finditer(text) if given else ():
            if text[match.end() : match.end() + 1] not in ("(", ":") and not self._holds(match[0].casefold()):
                yield "ungrounded_citation", match.start(), match.end()

    def _holds(self, written: str) -> bool:
        return written in self._given()

    def _given(self) -> str:
        """All that the model was given, in lower case."""
        return self._background.once((self.name, "given"), lambda: _all_text(self._background))


def _all_text(background: Background) -> str:
    texts = [part.text for part in request_parts(background.request).texts]
    return "\n".join([background.system_prompt or "", *texts]).casefold()
