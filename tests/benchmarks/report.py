"""Rows of figures, each beside what it is compared with and what is aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Compared = Literal["difference", "ratio"]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for a row's value, difference or ratio."""

    of: Literal["value", "difference", "ratio"]
    bound: float
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, and another of the same run to judge it by."""

    name: str
    unit: str
    value: float
    baseline_name: str
    baseline: float
    compared: Compared = "ratio"
    target: Target | None = None

    @property
    def ratio(self) -> float:
        """How many times the baseline."""
        return self.value / self.baseline

    @property
    def difference(self) -> float:
        """How much above the baseline, in the row's unit."""
        return self.value - self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        reached: float = getattr(self, self.target.of)
        return reached >= self.target.bound if self.target.at_least else reached <= self.target.bound

    def as_json(self) -> dict[str, Any]:
        """The row with what follows from it, for programs."""
        return {**asdict(self), "ratio": self.ratio, "difference": self.difference, "met": self.met}


def table(rows: Sequence[Row]) -> str:
    """The rows for a person to read, in columns."""
    cells = [("", "measured", "against", "", "compared", "target", "")]
    cells += [
        (
            row.name,
            _figure(row.value, row.unit),
            _figure(row.baseline, row.unit),
            row.baseline_name,
            _compared(row),
            _target(row),
            {None: "", True: "met", False: "NOT MET"}[row.met],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    right = {1, 2, 4, 5}
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _figure(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if abs(value) >= 100 else f"{value:.2f} {unit}"


def _compared(row: Row) -> str:
    return f"{row.ratio:.2f} ×" if row.compared == "ratio" else f"{row.difference:+.2f} {row.unit}"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    sign = "≥" if row.target.at_least else "≤"
    return f"{sign} {row.target.bound:g} {'×' if row.target.of == 'ratio' else row.unit}"
