"""Print what a judge made of a model: its own rates, and the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

Results = Mapping[str, Mapping[str, Any]]


def show_judged(console: Console, results: Results) -> None:
    """Print a table of the judged results among `results`, and a line of figures for each.

    asked: requests. failed: those without a verdict, left out of the figures. parsed: replies that
    held one. agree: pairs whose two orders prefer the same answer. Nothing where none is judged.
    """
    judged = {name: result for name, result in results.items() if result.get("judge")}
    if not judged:
        return
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for place, name in enumerate(
        ("judged", "asked", "failed", "parsed", "agree", "tokens", "cost")
    ):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for result in judged.values():
        judge = result["judge"]
        table.add_row(
            result["title"],
            f"{judge['requests']:,}",
            *(_percent(judge[name]) for name in ("failed", "parse_rate", "position_consistency")),
            f"{judge['tokens_in'] + judge['tokens_out']:,}",
            f"{judge['cost']:.2f}" if judge["cost"] else "-",
        )
    console.print(table)
    for name, result in judged.items():
        console.print(Text(f"{name}: {'; '.join(figures_of(result))}"), soft_wrap=True)


def figures_of(result: Mapping[str, Any]) -> list[str]:
    """The judged result's figures in words, shares in per cent."""
    judge, outcomes = result["judge"], result["outcomes"]
    told = [f"{name} {_percent(value)}" for name, value in result.get("figures", {}).items()]
    told += [f"{name} {value:,.0f}" for name, value in result.get("counts", {}).items()]
    told += [
        f"{name} {_percent(outcomes[name])}"
        for name in ("not attempted", "tied", "judge failed")
        if outcomes[name]
    ]
    if judge.get("by_logprobs") not in (None, 1.0):
        told.append(f"only {_percent(judge['by_logprobs'])} read by log-probabilities")
    told += [f"judge failed: {reason} ({number})" for reason, number in judge["reasons"].items()]
    return [*told, f"judge {judge['sampling']['model']}"]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
