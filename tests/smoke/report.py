"""What the smoke test found, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was looked at."""

    name: str
    value: str
    holds: bool | None = None
    """Whether it is as Wardgate needs it; None where it is a figure to know."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def table(found: Sequence[Found]) -> str:
    """The findings for a person to read."""
    width = max(len(each.name) for each in found)
    verdict = {None: "", True: "holds", False: "DOES NOT HOLD"}
    return "\n".join(f"{verdict[each.holds]:13}  {each.name:{width}}  {each.value}".rstrip() for each in found)
