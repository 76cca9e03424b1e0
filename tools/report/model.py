"""What a figure of the page is made of: panels that are drawn by Vega-Lite, and the table of their numbers."""

from dataclasses import dataclass, field
from typing import Any


class Missing(Exception):
    """Why a figure is left out, in a few words."""


@dataclass(frozen=True)
class Cell:
    """Of a table: a text, and the number that it rounds."""

    text: str
    value: float | int | None = None
    note: str = ""  # smaller, after the text
    status: str = (
        ""  # "within", "above", "below", "alarm": told by a word in `note` too, never by colour alone
    )
    strong: bool = False


@dataclass(frozen=True)
class Table:
    caption: str
    header: list[str]
    rows: list[list[Cell]]  # the first cell of a row names it

    def has_numbers(self, column: int) -> bool:
        return column > 0 and any(row[column].value is not None for row in self.rows)


@dataclass(frozen=True)
class Panel:
    """A drawing."""

    title: str  # "": the figure's
    spec: dict[str, Any]  # Vega-Lite, without configuration
    description: str  # for whoever does not see it: what is on which axis, and the finding where there is one


@dataclass(frozen=True)
class Figure:
    name: str  # of the element in the page
    title: str
    caption: str
    panels: list[Panel] = field(default_factory=list)
    tables: list[Table] = field(
        default_factory=list
    )  # without panels they are shown, else folded behind them
    notes: list[str] = field(default_factory=list)


def text(value: Any, note: str = "", **more: Any) -> Cell:
    return Cell(str(value), note=note, **more)


def number(value: float | int | None, form: str = ".4f", **more: Any) -> Cell:
    """A dash where there is none."""
    if value is None:
        return Cell("–", **more)
    value = value if isinstance(value, int) else float(value)
    return Cell(format(value, form), value, **more)


def spread(values: list[float], form: str = ".4f", **more: Any) -> Cell:
    """Mean ± standard deviation (n - 1) over seeds."""
    if not values:
        return Cell("–", **more)
    shown = format(mean(values), form)
    return Cell(shown if len(values) < 2 else f"{shown} ± {deviation(values):{form}}", mean(values), **more)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def deviation(values: list[float]) -> float | None:
    """None below two values."""
    if len(values) < 2:
        return None
    middle = mean(values)
    return (sum((value - middle) ** 2 for value in values) / (len(values) - 1)) ** 0.5
