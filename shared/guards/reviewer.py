"""The interface of a guard that looks at all texts of a request, or of an answer, at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from shared.guards.parts import Part
from shared.guards.port import Direction, Finding, Reach
from shared.text.canonical import Text


class Interrupted(Exception):
    """A review that failed before its end.

    Args:
        found: What it had found until then, as ``Reviewer.review`` gives it.
        fault: Class of the exception that ended it.
    """

    def __init__(self, found: list[tuple[int, Finding]], fault: str) -> None:
        super().__init__(f"the review was not finished: {fault}")
        self.found = found
        self.fault = fault


class Reviewer(ABC):
    """A guard whose texts share its time: it asks somebody else, or a large model.

    It may fail, which its fail mode decides about, and judges only what is whole.
    """

    name: str
    directions: frozenset[str]
    reach: Reach

    @abstractmethod
    def review(self, parts: Sequence[Part], texts: Sequence[Text], direction: Direction) -> list[tuple[int, Finding]]:
        """Findings in ``parts``, read as ``texts``, each with the index of its part.

        Raises:
            Interrupted: It failed, and what it had found is to be told of all the same.
        """
