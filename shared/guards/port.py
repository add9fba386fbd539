"""The interface of a guard: ``inspect(text, context) → findings``, with the reach that streaming needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from shared.discreet import Discreet

if TYPE_CHECKING:  # the functions that only record findings load no text and none of its tables
    from shared.guards.masking import Masks
    from shared.models.wire import ChatRequest
    from shared.text.canonical import Text
    from shared.text.markdown_code import Blocks

Direction = Literal["input", "output"]
Channel = Literal["user", "document", "tool"]
"""Where text comes from: a person, a retrieved document, or a tool's result."""

Action = Literal["block", "redact", "mask", "flag"]
"""``mask`` is a redaction that the answer undoes: see ``shared.guards.masking``."""

RunStatus = Literal["ran", "monitor", "skipped", "failed_open", "failed_closed"]
"""What became of a guard: it ran; it ran in monitor mode; it did not run; or it failed, and the text
went on unseen (``failed_open``) or was refused (``failed_closed``)."""

Known = TypeVar("Known")

Verdict = Literal["allow", "flag", "mask", "redact", "block"]
VERDICTS: tuple[Verdict, ...] = ("allow", "flag", "mask", "redact", "block")
"""From harmless to final."""


class Finding(Struct, frozen=True):
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

    replacement: str | None = None
    """What a redaction puts in the span's place, unless another one overlaps; None: ``[FILTERED]``.
    Fit to stand within a JSON string as it is."""

    def at(self, part: str) -> Finding:
        """The same finding, located in ``part``."""
        return replace(self, part=part)


class Reach(Struct, frozen=True):
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

    replaces: int = 0
    """The longest span that it redacts with a replacement of its own; one is held until its end is decided."""

    def undecided(self, text: str) -> int:
        """Where in ``text`` the earliest finding may begin that more text could still complete or change."""
        if self.tail is not None:
            return self.tail(text)
        return 0 if self.characters is None else max(len(text) - self.characters, 0)


def bounded(characters: int) -> Reach:
    """The reach of a guard whose findings span at most ``characters``, with their context."""
    return Reach(characters)


def growing(tail: Callable[[str], int], *, context: int, most: int, replaces: int = 0) -> Reach:
    """The reach of a guard that holds back only what may become a finding: from ``tail`` on, at most ``most``
    characters. Whether it finds a span depends on no more than ``context`` characters before it and one after it."""
    return Reach(context, tail, most, replaces)


def together(reaches: Iterable[Reach]) -> Reach:
    """What several guards need at once."""
    reaches = tuple(reaches)
    if any(reach.characters is None for reach in reaches):
        return Reach(None)
    characters = max((reach.characters or 0 for reach in reaches), default=0)
    if all(reach.tail is None for reach in reaches):
        return Reach(characters)
    most = max(reach.most if reach.tail else reach.characters or 0 for reach in reaches)
    replaces = max(reach.replaces for reach in reaches)
    return Reach(characters, lambda text: min(reach.undecided(text) for reach in reaches), most + replaces, replaces)


SEPARATOR = "\x1e"
"""Stands between joined texts: canonical text never holds it, so the joint is unambiguous."""


class Background(Discreet, Struct, frozen=True):
    """What is known of the request whose answer is inspected."""

    request: ChatRequest
    """As it went on to the model, but for what stands below."""

    system_prompt: str | None = None
    """The policy's own, which the caller does not see."""

    canary: str | None = None
    """The random word that was planted in it."""

    masks: Masks | None = None
    """What stands for what in the request; None where nothing was masked."""

    _known: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: object, find_out: Callable[[], Known]) -> Known:
        """What ``find_out`` answers, which is asked once for each request. Not for several threads."""
        if key not in self._known:
            self._known[key] = find_out()
        known: Known = self._known[key]
        return known


class Context(Struct, frozen=True):
    """What a guard may know of the text it inspects."""

    direction: Direction
    channel: Channel = "user"
    path: str = ""
    """The part that it is, as ``choices[0].message.content``; empty where it belongs to no request."""

    before: Blocks | None = None
    """What was open where the text begins, if it is a window over a longer one."""

    since: int = 0
    """In such a window: findings that begin before this index are known, and need not be told again."""

    background: Background | None = None
    """In answers only."""

    every: bool = False
    """Whether every place must be found, however many were."""


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


class JoinedReader(ABC):
    """A guard that also reads neighbouring messages as one text, for what is split over several of them."""

    name: str
    directions: frozenset[str]
    reach: Reach

    @abstractmethod
    def clears(self, joined: str) -> bool:
        """See ``Guard``."""

    @abstractmethod
    def inspect(self, text: Text, context: Context) -> Sequence[Finding]:
        """See ``Guard``; ``text`` is a message's, or several joined."""


class Bindable(ABC):
    """A guard that must know the request before it can look at the answer. Looks at nothing else."""

    name: str
    directions: frozenset[str]

    @abstractmethod
    def for_answer(self, background: Background) -> Guard | None:
        """The guard for one answer; None where there is nothing that it could find, so that it does not run."""


class GuardRun(Struct, frozen=True):
    """What one guard did on one request or answer, for the receipt."""

    guard: str
    direction: Direction
    status: RunStatus
    bytes_seen: int
    """Of the text as it came, in UTF-8; 0 where the guard did not get through."""


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The gravest consequence of the enforced findings; findings in monitor mode never count."""
    actions = {finding.action for finding in findings if finding.enforced}
    return VERDICTS[max(map(VERDICTS.index, actions), default=0)]
