"""Tables and numbers for people (rich)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from r1.plan.hardware import GB


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1, fold: str = ""
) -> Table:
    """Return rows under headings, the first `left` columns aligned left.

    fold: the only column whose cells may take two lines; "" is all of them.
    """
    made = Table(box=None, pad_edge=False)
    for i, heading in enumerate(headings):
        no_wrap = fold not in ("", heading)
        made.add_column(heading, justify="left" if i < left else "right", no_wrap=no_wrap)
    for row in rows:
        made.add_row(*row)
    return made


def facts(pairs: Iterable[tuple[str, str | Text]]) -> Table:
    """Return one labelled fact per line."""
    made = Table.grid(padding=(0, 2))
    for label, value in pairs:
        made.add_row(Text(label, style="dim"), value)
    return made


def count(number: float) -> str:
    """Format a count: 1234567 -> "1.23M"; "" for 0."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}" if number else ""


def hours(number: float) -> str:
    """Format GPU-hours; "" for 0."""
    if not number:
        return ""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def clock(number: float, short: bool = False) -> str:
    """Format hours in words. short: "" for 0, and units of one to three letters."""
    if short and not number:
        return ""
    for size, unit, letters in ((48, "days", "d"), (1, "hours", "h"), (1 / 60, "minutes", "min")):
        if number >= size:
            each = 24 if unit == "days" else size
            return f"{number / each:.1f} {letters if short else unit}"
    return f"{3600 * number:.0f} {'s' if short else 'seconds'}"


def seconds(number: float) -> str:
    """Format the seconds of a step."""
    return f"{number:,.0f} s" if number >= 100 else f"{number:.3g} s"


def gigabytes(size: float) -> str:
    """Format bytes in GB; "" for 0."""
    return "" if not size else f"{size / GB:,.1f}" if size >= 0.1 * GB else f"{size / GB:.3f}"
