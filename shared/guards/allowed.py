"""Phrases that the policy knows to be no attack: findings within them are reported and not acted on.

A finding counts as allowed only where one phrase holds its whole span, so a phrase lets nothing pass but itself. A
window that the classifier judges is such a span: it is allowed only where the text is hardly more than the phrase.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import re2  # type: ignore[import-untyped]  # ships no types
from msgspec.structs import replace

from shared.guards.port import Finding
from shared.policy.types import AllowedPhrase

_GAP = r"[\s\p{Z}]+"


def today() -> date:
    """By this machine's clock, in UTC."""
    return datetime.now(UTC).date()


class AllowedPhrases:
    """The phrases of a policy. Costs nothing where nothing was found.

    Args:
        phrases: As the policy has them.
        today: Tells the day on which they are looked at.
    """

    def __init__(self, phrases: Sequence[AllowedPhrase], today: Callable[[], date] = today) -> None:
        options = re2.Options()
        options.case_sensitive = False
        self._phrases = [(phrase, re2.compile(_pattern(phrase.phrase), options)) for phrase in phrases]
        self._today = today

    def apply(self, original: str, findings: list[Finding]) -> list[Finding]:
        """The findings in ``original``, where those within a phrase are not enforced."""
        if not findings or not self._phrases:
            return findings
        day = self._today()
        places = [
            (phrase.guards, match.span())
            for phrase, pattern in self._phrases
            if day <= phrase.until
            for match in pattern.finditer(original)
        ]
        return [
            replace(finding, enforced=False) if any(_covers(finding, *place) for place in places) else finding
            for finding in findings
        ]


def _pattern(phrase: str) -> str:
    return _GAP.join(re2.escape(word) for word in phrase.split())


def _covers(finding: Finding, guards: Sequence[str], place: tuple[int, int]) -> bool:
    return finding.guard in guards and place[0] <= finding.span[0] and finding.span[1] <= place[1]
