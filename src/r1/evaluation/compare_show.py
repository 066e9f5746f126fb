"""A comparison of evaluations as a table for the terminal (rich) and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.evaluation.compare import (
    DifferenceVerdict,
    EvaluationComparison,
    MeasuredDifference,
    Method,
    Pairing,
    SideShares,
)
from r1.evaluation.stored import SettingDifference, StoredEvaluation, setting_differences


def comparison_json(
    stored: Sequence[StoredEvaluation], found: Sequence[EvaluationComparison]
) -> dict[str, Any]:
    """Return everything that is shown: {"first", "comparisons": [{"other", "overall", "families",
    "pairing", "samples", "settings_that_differ"}]}; shares and differences are fractions."""
    return {
        "first": stored[0].name,
        "comparisons": [
            {
                "other": other.name,
                "overall": _difference_json(each.overall),
                "families": [_difference_json(family) for family in each.families],
                "pairing": each.pairing._asdict(),
                "samples": {
                    side: shares._asdict()
                    for side, shares in zip(("first", "other"), each.shares, strict=True)
                },
                "settings_that_differ": [
                    {"key": key, "first": one, "other": two}
                    for key, one, two in setting_differences(stored[0].settings, other.settings)
                ],
            }
            for other, each in zip(stored[1:], found, strict=True)
        ],
    }


def _difference_json(found: MeasuredDifference) -> dict[str, Any]:
    return {
        "name": found.name,
        "num_problems": found.num_problems,
        "first": found.first,
        "other": found.second,
        "difference": found.difference._asdict(),
        "verdict": str(found.verdict),
        "method": str(found.method),
        "p": found.p,
        "corrected_p": found.corrected_p,
        "detectable": found.detectable,
        "only_first_solves": found.only_first,
        "only_other_solves": found.only_second,
    }


def show_comparisons(
    console: Console, stored: Sequence[StoredEvaluation], found: Sequence[EvaluationComparison]
) -> None:
    """Print a table, the verdict and what was left out for each of the other evaluations."""
    for letter, each in zip(ascii_uppercase, stored, strict=False):
        line = f"{letter}: {each.name} ({len(each.counts):,} problems, k = {each.num_samples})"
        console.print(Text(line), soft_wrap=True)
    pairs = zip(ascii_uppercase[1:], stored[1:], found, strict=False)
    for letter, other, comparison in pairs:
        console.print(_table(letter, comparison))
        differ = setting_differences(stored[0].settings, other.settings)
        for line in _lines(letter, comparison, differ, num_others=len(found)):
            console.print(Text(line), soft_wrap=True)


def _table(letter: str, comparison: EvaluationComparison) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))  # fits into 80 columns
    table.add_column("", no_wrap=True)
    for name in ("problems", "A", letter, f"{letter} - A (95 %)", "p", "seen from"):
        table.add_column(name, justify="right", no_wrap=name != "seen from")
    table.add_column(f"{letter} is")
    for found in (comparison.overall, *comparison.families):
        table.add_row(
            found.name,
            f"{found.num_problems:,}",
            f"{100 * found.first:.1f} %",
            f"{100 * found.second:.1f} %",
            _points(found),
            _p(found.corrected_p),
            f"{100 * found.detectable:.1f}" if found.detectable <= 1 else "-",
            str(found.verdict),
        )
    return table


def _points(found: MeasuredDifference) -> str:
    value, low, high = (100 * number for number in found.difference)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _lines(
    letter: str,
    comparison: EvaluationComparison,
    differ: Sequence[SettingDifference],
    num_others: int,
) -> list[str]:
    overall = comparison.overall
    lines = [_verdict_line(letter, overall), _method_line(comparison, num_others)]
    if differ:
        told = ", ".join(f"{key} {_value(one)} / {_value(two)}" for key, one, two in differ)
        lines.append(f"Settings that differ (A / {letter}): {told}.")
    if told_apart := left_out(comparison.pairing, letter):
        lines.append(f"Left out: {' '.join(told_apart)}")
    sides = zip(("A", letter), comparison.shares, strict=True)
    return lines + [_samples_line(side, shares) for side, shares in sides]


def _samples_line(letter: str, shares: SideShares) -> str:
    told = [
        f"{letter}: {shares.num_samples:,} samples",
        f"{100 * shares.unfinished:.1f} % cut at the limit",
        f"{100 * shares.unreadable:.1f} % without a readable answer",
    ]
    if shares.num_without_verdict:
        unjudged = f"{shares.num_without_verdict:,} without a verdict (verifier failed)"
        told.append(f"{unjudged}, which are left out")
    return ", ".join(told) + "."


def _verdict_line(letter: str, found: MeasuredDifference) -> str:
    if found.verdict is not DifferenceVerdict.NOT_TOLD_APART:
        return f"{letter} is {found.verdict} than A, by {_points(found)} points of pass@1."
    size = f"of {100 * found.detectable:.1f} points or more" if found.detectable <= 1 else ""
    seen = f"a difference {size} would be seen in 80 % of such comparisons" if size else ""
    return f"{letter} and A are not told apart; {seen or 'no difference could have been seen'}."


def _method_line(comparison: EvaluationComparison, num_others: int) -> str:
    overall = comparison.overall
    told = f"{overall.method}; 95 % intervals, paired over {overall.num_problems:,} problems"
    if overall.method is Method.MCNEMAR:
        told += f" (A alone solves {overall.only_first:,}, the other {overall.only_second:,})"
    corrected = ["the evaluations"] if num_others > 1 else []
    corrected += ["the families"] if comparison.families else []
    if corrected:
        told += f"; p corrected (Holm) over {' and over '.join(corrected)}"
    return told + "."


def left_out(pairing: Pairing, letter: str = "the other") -> list[str]:
    """Return how many problems could not be compared and why, a sentence each."""
    said = (
        (pairing.only_first, "only in A"),
        (pairing.only_second, f"only in {letter}"),
        (pairing.other_question, "with the same id but another question or reference"),
        (pairing.without_verdict, "without any verdict on one side"),
    )
    return [f"{n:,} problem{'s' if n > 1 else ''} {why}." for n, why in said if n]


def _value(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
