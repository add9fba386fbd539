"""Both stages together, on texts whose sources neither of them has seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.guards.classifier import FEWEST, judged
from shared.guards.encoder import Encoder
from shared.guards.linear import WORD, LinearModel
from shared.guards.port import Channel
from shared.guards.second_stage import Band, bands, shown
from shared.policy import load_policy
from shared.policy.types import Guards
from shared.text.canonical import canonicalise
from tests.evaluation.data import THIRDS

BOTH = Path(__file__).with_name("both_stages.yaml")
"""The policy in which both stages decide."""

EVERY = Band(-math.inf, math.inf)


def trained_without(encoders: Path) -> tuple[Path, ...]:
    """The folders of the encoders that were each trained without one group of sources."""
    return tuple(encoders / f"without-{third}" for third in range(len(THIRDS)))


def both_stages() -> Guards:
    """The guards of the policy in which both stages decide."""
    return load_policy(BOTH).file.guards


class SecondOpinions:
    """What both stages together say of a text, where the first one is unsure of it.

    Args:
        encoders: For each group of sources the files of the encoder that saw nothing of it.
        policy: Where the first stage is unsure.

    Raises:
        ConfigurationError: What runs an encoder is not installed, or its files are not there.
    """

    def __init__(self, encoders: Sequence[Path], policy: Guards) -> None:
        self._encoders = [Encoder(folder) for folder in encoders]
        self._bands = bands(policy.second_stage, policy.injection, policy.allow)

    def alone(self, third: int, text: str, channel: Channel, first: LinearModel) -> float:
        """The highest log odds that the encoder by itself gives a window; for the arguments see ``both``."""
        said = (self._encoders[third].log_odds(window) for _, window in between(first, text, EVERY))
        return max((odds.user if channel == "user" else odds.fetched for odds in said), default=-math.inf)

    def both(self, third: int, text: str, channel: Channel, first: LinearModel) -> float:
        """The highest log odds of a window that the first stage is unsure about; no chance where it is sure of all.

        Args:
            third: The group that the text's source is in.
            text: What is judged.
            channel: Where it comes from.
            first: The first stage's model, which has not seen the source either.
        """
        encoder = self._encoders[third]
        band = self._bands[channel]
        said = (
            encoder.combined(score, encoder.log_odds(window), channel) for score, window in between(first, text, band)
        )
        return max(said, default=-math.inf)


def between(model: LinearModel, text: str, band: Band) -> Iterator[tuple[float, str]]:
    """The windows of a text whose score is in the band, as the second stage is shown them, with that score."""
    for view in judged(canonicalise(text)):
        words = [word.span() for word in WORD.finditer(view.text)]
        for window in model.windows(view.text):
            if band.least <= window.score <= band.most and window.different >= FEWEST:
                yield window.score, shown(view.text[words[window.first][0] : words[window.end - 1][1]])
