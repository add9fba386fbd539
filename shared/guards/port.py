"""The interface of a guard: ``inspect(text, context) → findings``, with the reach that streaming needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # the functions that only record findings load no text and none of its tables
    from shared.text.canonical import Text

Direction = Literal["input", "output"]
Channel = Literal["user", "document", "tool"]
"""Where text comes from: a person, a retrieved document, or a tool's result."""

Action = Literal["block", "redact", "flag"]
RunStatus = Literal["ran", "monitor", "skipped", "failed_open", "failed_closed"]
"""What became of a guard: it ran; it ran in monitor mode; it did not run; or it failed, and the text
went on unseen (``failed_open``) or was refused (``failed_closed``)."""

Verdict = Literal["allow", "flag", "redact", "block"]
VERDICTS: tuple[Verdict, ...] = ("allow", "flag", "redact", "block")
"""From harmless to final."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a guard found in one part of a conversation. Never holds the text itself."""

    guard: str
    kind: str
    """What was found, by the guard's own name for it, as ``ignore_previous_instructions``."""

    owasp: str
    """OWASP LLM Top 10 id, 2023 and 2025, as ``LLM01:2023/LLM01:2025``."""

    span: tuple[int, int]
    """Half-open character range in the original text."""

    score: float
    """Confidence from 0 to 1."""

    action: Action
    """What the policy does about it; in ``monitor`` mode it is reported only."""

    enforced: bool = True
    """False where the guard runs in monitor mode, or the policy allows the phrase: reported, not acted on."""

    part: str = ""
    """The part of the request or answer, as ``messages[0].content``."""

    def at(self, part: str) -> Finding:
        """The same finding, located in ``part``."""
        return replace(self, part=part)


@dataclass(frozen=True, slots=True)
class Reach:
    """How much text a guard must hold back while an answer streams.

    A guard that does not judge the whole is local: whether it finds a span depends on the span and on no more
    than ``characters`` around it, so that a window shows it the same as the whole text does."""

    characters: int | None
    """At most this many characters before the newest one can still become part of a finding, unless ``tail``
    says otherwise. None: the guard judges only the whole answer."""

    tail: Callable[[str], int] | None = None
    """For a guard whose findings may be long and whose beginnings are seldom: where in a text the earliest finding
    may begin that more text could still complete or change; the text's length where there is none. It never goes
    back as a text grows, and needs no more than ``characters`` before that place to tell."""

    most: int = 0
    """With ``tail``: the most characters that it ever holds back."""

    def undecided(self, text: str) -> int:
        """Where in ``text`` the earliest finding may begin that more text could still complete or change."""
        if self.tail is not None:
            return self.tail(text)
        return 0 if self.characters is None else max(len(text) - self.characters, 0)


def bounded(characters: int) -> Reach:
    """The reach of a guard whose findings span at most ``characters``, with their context."""
    return Reach(characters)


def growing(tail: Callable[[str], int], *, context: int, most: int) -> Reach:
    """The reach of a guard that holds back only what may become a finding: from ``tail`` on, at most ``most``
    characters. Whether it finds a span depends on no more than ``context`` characters before it and one after it."""
    return Reach(context, tail, most)


def together(reaches: Iterable[Reach]) -> Reach:
    """What several guards need at once."""
    reaches = tuple(reaches)
    if len(reaches) == 1:
        return reaches[0]
    if any(reach.characters is None for reach in reaches):
        return Reach(None)
    characters = max((reach.characters or 0 for reach in reaches), default=0)
    if all(reach.tail is None for reach in reaches):
        return Reach(characters)
    most = max(reach.most if reach.tail else reach.characters or 0 for reach in reaches)
    return Reach(characters, lambda text: min(reach.undecided(text) for reach in reaches), most)


SEPARATOR = "\x1e"
"""Stands between joined texts: canonical text never holds it, so the joint is unambiguous."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a guard may know of the text it inspects."""

    direction: Direction
    channel: Channel = "user"


class Guard(Protocol):
    """Looks at one text and reports what it found. Pure: no I/O, no state between calls, never raises."""

    name: str
    directions: frozenset[str]
    reach: Reach

    def clears(self, joined: str) -> bool:
        """Whether none of several texts can hold a finding, for one cheap look at a long conversation.

        ``joined`` holds every view of them, with ``SEPARATOR`` between; False where the guard cannot tell.
        """

    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """Findings in ``text``, in order of their spans."""


class Reviewer(ABC):
    """A guard that looks at all texts at once, as one that asks somebody else: a question for each would take too long.

    It may fail, which its fail mode decides about, and judges only what is whole.
    """

    name: str
    directions: frozenset[str]
    reach: Reach

    @abstractmethod
    def review(self, texts: Sequence[str], direction: Direction) -> list[tuple[int, Finding]]:
        """Findings in canonical texts, each with the index of its text."""


@dataclass(frozen=True, slots=True)
class GuardRun:
    """What one guard did on one request or answer, for the receipt."""

    guard: str
    direction: Direction
    status: RunStatus
    bytes_seen: int


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The gravest consequence of the enforced findings; findings in monitor mode never count."""
    gravest = 0
    for finding in findings:
        if finding.enforced:
            gravest = max(gravest, VERDICTS.index(finding.action))
    return VERDICTS[gravest]
