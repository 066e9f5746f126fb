"""An evaluation's figures as a table for the terminal (rich)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from r1.run_dir.evaluation import outcomes_line

_NO_VERDICT = ("verifier-failed", "timed-out")


def evaluation_table(summary: Mapping[str, Any], title: str = "") -> RenderableType:
    """Return the overall figures, each family's, and a line on the samples' outcomes.

    summary: as `evaluate` gives it and `evaluations/*.json` holds it.
    """
    k = summary["k"]
    table = Table(title=title or None, title_justify="left")
    for name, justify in (("", "left"), ("problems", "right"), ("pass@1", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column(f"cons@{k}", justify="right")
    rows = [("all", summary), *summary["by_family"].items()]
    for name, row in rows if len(rows) > 2 else rows[:1]:
        table.add_row(
            name,
            str(row["num_problems"]),
            format_interval(row["pass_at_1"]),
            format_interval(row["cons_at_k"]),
            end_section=name == "all",
        )
    outcomes = outcomes_line(summary["outcomes"], summary.get("truncated"))
    lines = (_pass_at_k_line(summary), _sample_line(summary), outcomes)
    return Group(table, *map(Text, lines))


def format_interval(interval: Mapping[str, float | None]) -> str:
    """Return "71.2 % (68.0-74.1)", or a dash if nothing was measured."""
    value, low, high = (interval[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{value:.1%} ({100 * low:.1f}-{100 * high:.1f})".replace("%", " %")


def _pass_at_k_line(summary: Mapping[str, Any]) -> str:
    shown = [f"pass@{k} {_share(value)}" for k, value in summary["pass_at_k"].items() if k != "1"]
    sampling = summary["sampling"]
    drawn = f"T {sampling['temperature']:g}, top-p {sampling['top_p']:g}"
    limit = f"at most {sampling['max_new_tokens']:,} tokens"
    return " · ".join([*shown, f"{summary['k']} samples a problem, {drawn}, {limit}"])


def _sample_line(summary: Mapping[str, Any]) -> str:
    parts = [
        f"mean length {summary['mean_length']:.1f} tokens" if summary["mean_length"] else "",
        f"cut at the limit {_share(summary['truncated'])}",
        f"in form {_share(summary['format'])}" if summary["format"] is not None else "",
        f"checking themselves {_share(summary['self_check_share'])}",
    ]
    if "language_consistency" in summary:
        parts.append(f"language consistency {_share(summary['language_consistency'])}")
    unjudged = sum(summary["outcomes"].get(name, 0) for name in _NO_VERDICT)
    if unjudged:
        parts.append(f"{unjudged} samples without a verdict (verifier failed), left out")
    return " · ".join(part for part in parts if part)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
