"""A judge's preference between two evaluations, for the terminal (rich)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.evaluation.compare import DifferenceVerdict


def show_preference(console: Console, figures: Mapping[str, Any]) -> None:
    """Print the win rate, whole and by family, the verdict, and what to know of both."""
    for letter, name in (("A", figures["first"]), ("B", figures["other"])):
        console.print(Text(f"{letter}: {name}"), soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("win rate of B (95 %)", justify="right")
    table.add_row("all", _rate(figures["win_rate"]))
    for name, rate in figures["families"].items():
        table.add_row(name, _rate(rate))
    table.add_row("where B is not longer", _rate(figures["where_not_longer"]))
    console.print(table)
    for line in preference_lines(figures):
        console.print(Text(line), soft_wrap=True)


def preference_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Return what the figures say, a sentence or two a line."""
    verdict, judge = figures["verdict"], figures["judge"]
    said = {
        DifferenceVerdict.BETTER: "The judge prefers B: the whole interval is above 50 %.",
        DifferenceVerdict.WORSE: "The judge prefers A: the whole interval is below 50 %.",
    }
    yield said.get(verdict, "A and B are not told apart: the interval holds 50 %.")
    counts = "won {won:,}, tied {tied:,}, lost {lost:,}".format_map(figures)
    yield (
        f"{figures['num_pairs']:,} pairs of answers to {figures['num_problems']:,} problems: B "
        f"{counts}. Characters of an answer: A {_count(figures['mean_chars'][0])}, B "
        f"{_count(figures['mean_chars'][1])}."
    )
    missing = figures["without_answer"]
    if missing["first"] or missing["other"]:
        yield (
            f"Without an answer: A {missing['first']:,}, B {missing['other']:,} (both: "
            f"{missing['both']:,}). A missing answer loses; where both miss, the pair is left out."
        )
    left_out = figures["left_out"]
    told = [
        f"{number:,} {why}"
        for number, why in (
            (figures["without_verdict"], "pairs without a verdict of the judge"),
            (figures["failed"], "pairs whose response the engine never gave"),
            (left_out["only_first"], "problems only in A"),
            (left_out["only_other"], "problems only in B"),
            (left_out["other_question"], "problems with another question of the same id"),
        )
        if number
    ]
    if told:
        yield f"Left out: {', '.join(told)}."
    if (consistency := figures["position_consistency"]) is not None:
        place = figures["first_place_preferred"]
        yield (
            f"The judge ({judge['sampling']['model']}) agrees with itself in both orders on "
            f"{_percent(consistency)}, and prefers what it reads first in {_percent(place)}."
        )
    for reason, number in judge["reasons"].items():
        yield f"No verdict: {reason} ({number:,})."


def _rate(rate: Mapping[str, float] | None) -> str:
    if rate is None:
        return "-"
    value, low, high = (100 * rate[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"
