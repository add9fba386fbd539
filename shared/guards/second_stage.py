"""The second look at prompt injection (LLM01): where the classifier is unsure, a larger model decides.

The classifier scores every window of a text anyway; those whose score lies between ``unsure_from`` and the injection
guard's threshold are shown to the encoder, the most suspected first, within one time for the whole request. Either
all of them were judged, or one was enough, or the guard has failed; what it had found until then is told of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shared.guards.allowance import Allowance
from shared.guards.classifier import FEWEST, load_models, log_odds, places, scored
from shared.guards.linear import WORD, LinearModel, Window
from shared.guards.neighbours import Neighbours, neighbours
from shared.guards.owasp import PROMPT_INJECTION
from shared.guards.parts import Part
from shared.guards.port import Channel, Direction, Finding, Reach
from shared.guards.reviewer import Interrupted, Reviewer
from shared.policy.types import AllowedPhrase, InjectionPolicy, SecondStageRule
from shared.text.canonical import Text
from shared.text.views import View

if TYPE_CHECKING:  # most policies have no use for it
    from shared.guards.encoder import LogOdds

KIND = "encoder"
CHANNELS: tuple[Channel, ...] = ("user", "document", "tool")

WAITS = 10
"""Times its own time that a request may wait for its turns, and for a processor that others keep busy."""

_GAPS = re.compile(r"[\s_]+")
"""What stands between the words that ``WORD`` finds."""


class Judge(Protocol):
    """What this needs of ``shared.guards.encoder.Encoder``."""

    def load(self) -> None: ...

    def log_odds(self, text: str, allowance: Allowance) -> LogOdds: ...

    def combined(self, first: float, second: LogOdds, channel: Channel) -> float: ...


class Band(NamedTuple):
    """The classifier's scores, as log odds, for which another opinion is asked, both ends among them."""

    least: float
    most: float


class _Reading(NamedTuple):
    """One reading of a part, or of neighbouring parts put together."""

    part: int
    """Its index; of neighbours none, -1."""

    joint: Neighbours | None
    channel: Channel
    view: View


class _Unsure(NamedTuple):
    """A window that the classifier is unsure about."""

    reading: _Reading
    window: Window
    text: str


class SecondStageGuard(Reviewer):
    """See the module. Safe under threads.

    Args:
        rule: The policy's.
        injection: What the policy says of the guard whose classifier is unsure.
        allow: Phrases that the policy knows to be no attack.
        encoder: Decides; loaded at the first window that needs it.
        models: Gives the classifier's models.
    """

    name = "second_stage"
    directions = frozenset({"input"})
    reach = Reach(None)

    def __init__(
        self,
        rule: SecondStageRule,
        injection: InjectionPolicy,
        allow: Sequence[AllowedPhrase],
        encoder: Judge,
        models: Callable[[], Mapping[Channel, LinearModel]] = load_models,
    ) -> None:
        self._rule = rule
        self._encoder = encoder
        self._models = models
        self._blocks = rule.mode == "enforce" and rule.action == "block"
        self._bands = bands(rule, injection, allow)
        self._least = {channel: log_odds(getattr(rule.thresholds, channel)) for channel in CHANNELS}

    def review(self, parts: Sequence[Part], texts: Sequence[Text], direction: Direction) -> list[tuple[int, Finding]]:
        """See ``Reviewer``.

        Raises:
            Interrupted: Not all windows were judged: the time was over, or the encoder gave no numbers.
            ValueError: A model cannot be used.
            OSError: A model cannot be read.
        """
        unsure = sorted(self._unsure(parts, texts), key=lambda each: -each.window.score)
        if not unsure:
            return []
        self._encoder.load()  # before the clock runs: no request is refused for being an instance's first
        found: dict[int, tuple[_Reading, list[Window]]] = {}
        cut: Exception | None = None
        try:
            for each in self._suspected(unsure):
                found.setdefault(id(each.reading), (each.reading, []))[1].append(each.window)
                if self._blocks:  # it is refused, whatever else is said of it
                    break
        except Exception as error:  # onnxruntime's have no common class; it goes on below, with what was found
            cut = error
        findings = [
            located
            for reading, windows in found.values()
            for span, score in places(reading.view, sorted(windows))
            for located in self._located(reading, span, score, texts)
        ]
        if cut is not None:
            raise Interrupted(findings, type(cut).__name__) from cut
        return findings

    def _unsure(self, parts: Sequence[Part], texts: Sequence[Text]) -> Iterator[_Unsure]:
        for reading, every in self._scored(parts, texts):
            least, most = self._bands[reading.channel]
            windows = [window for window in every if least <= window.score <= most and window.different >= FEWEST]
            text = reading.view.text
            words = [word.span() for word in WORD.finditer(text)] if windows else []
            for window in windows:
                start, end = words[window.first][0], words[window.end - 1][1]
                if reading.joint is None or reading.joint.crosses(reading.view.span(start, end)):
                    yield _Unsure(reading, window, shown(text[start:end]))

    def _scored(self, parts: Sequence[Part], texts: Sequence[Text]) -> Iterator[tuple[_Reading, Sequence[Window]]]:
        """Every reading that the classifier judges, with its windows."""
        models = self._models()
        for index, (part, text) in enumerate(zip(parts, texts, strict=True)):
            for view, windows in scored(text, models[part.channel]):
                yield _Reading(index, None, part.channel, view), windows
        for joint in neighbours(parts, texts):
            for view, windows in scored(joint.text, models[joint.channel]):
                yield _Reading(-1, joint, joint.channel, view), windows

    def _suspected(self, unsure: Sequence[_Unsure]) -> Iterator[_Unsure]:
        """Those of which both models together say enough, with that score. The same words are judged once."""
        seconds = self._rule.deadline_ms / 1000
        allowance = Allowance(seconds, WAITS * seconds)
        known: dict[str, LogOdds] = {}
        for each in unsure:
            if each.text not in known:
                known[each.text] = self._encoder.log_odds(each.text, allowance)
            channel = each.reading.channel
            both = self._encoder.combined(each.window.score, known[each.text], channel)
            if both > self._least[channel]:
                yield each._replace(window=each.window._replace(score=both))

    def _located(
        self, reading: _Reading, span: tuple[int, int], score: float, texts: Sequence[Text]
    ) -> Iterator[tuple[int, Finding]]:
        rule = self._rule
        finding = Finding(self.name, KIND, PROMPT_INJECTION, span, round(score, 4), rule.action, rule.mode == "enforce")
        if reading.joint is None:
            yield reading.part, finding
        else:
            yield from reading.joint.located(finding, texts)


def shown(window: str) -> str:
    """What the encoder reads of a window: its words and signs, as the classifier tells them, and no more.

    White space and underscores are no words to the classifier, so that any number of them fits into a window; here
    they would take the place of words.
    """
    return _GAPS.sub(" ", window)


def bands(
    rule: SecondStageRule, injection: InjectionPolicy, allow: Sequence[AllowedPhrase] = ()
) -> dict[Channel, Band]:
    """The scores for which another opinion is asked, by channel.

    What is above the injection guard's threshold is decided only where that guard always refuses it; elsewhere there is
    no end: what is suspected more must not get through more easily.
    """
    refused = injection.always_refuses(allow)
    result: dict[Channel, Band] = {}
    for channel in CHANNELS:
        counts = getattr(rule.thresholds, channel) < 1
        least = log_odds(getattr(rule.unsure_from, channel)) if counts else math.inf
        result[channel] = Band(least, log_odds(getattr(injection.thresholds, channel)) if refused else math.inf)
    return result


def second_stage_guard(
    rule: SecondStageRule, injection: InjectionPolicy, allow: Sequence[AllowedPhrase]
) -> SecondStageGuard:
    """The guard of a policy, with the encoder that ships with Wardgate.

    Raises:
        ConfigurationError: The packages that run the encoder, or its files, are not there.
    """
    from shared.guards.encoder import shipped_encoder  # most policies have no use for it

    return SecondStageGuard(rule, injection, allow, shipped_encoder())
