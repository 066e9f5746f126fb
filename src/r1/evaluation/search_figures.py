"""The figures of a search's final choices, and their tables.

    accuracy of every rule (r1.search.choose)       with a bootstrap interval over problems
    by_num, of whole samples                        the same for 1, 2, 4, ... of them, by tokens
    best or weighted minus majority                 paired by problem: which wins at equal tokens
    by_aggregate                                    what other aggregates of the same scores choose

Pure but for the tables. Candidates without a verdict count as wrong.

Shapes: P problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from r1.evaluation.pretty import format_interval
from r1.evaluation.summary import JudgedProblem
from r1.intervals import bootstrap, share_interval
from r1.report.search import RULED
from r1.search.choose import FIGURES, RIVALS, WHOLE, JudgedCandidate, figure_of_sets, rules_of
from r1.search.protocol import SearchCost
from r1.search.settings import SearchSettings
from r1.significance import widened_difference
from r1.steps.aggregate import RULES, Rule, aggregate
from r1.types import Outcome

TOKENS = tuple(SearchCost().as_json())


def search_figures(
    judged: Sequence[JudgedProblem],
    records: Mapping[str, Mapping[str, Any]],
    settings: SearchSettings,
    scorer: str | None,
) -> dict[str, Any]:
    """Return accuracy by rule with intervals over problems, and mean tokens a problem.

    scorer: its name in the figures.
    """
    candidates_P = [candidates_of(problem, records[problem.problem_id]) for problem in judged]
    costs = [records[problem.problem_id]["cost"] for problem in judged]
    rules = rules_of(settings)
    figures: dict[str, Any] = {
        "method": settings.method,
        "scorer": scorer,
        "ends": settings.ends,
        "num_problems": len(judged),
        "unjudged": _unjudged(judged),
        "num_candidates": float(np.mean([len(each) for each in candidates_P])),
        "tokens": {name: float(np.mean([cost[name] for cost in costs])) for name in TOKENS},
        "rules": {name: _interval([FIGURES[name](each) for each in candidates_P])
                  for name in rules},
    }  # fmt: skip
    if settings.method in WHOLE:
        figures["by_num"] = _by_num(candidates_P, rules, figures["tokens"]["generated"])
        if "best" in rules:
            found = {rule: _rescored(judged, records, rule) for rule in RULES}
            figures["by_aggregate"] = {
                rule: _by_num(each, RIVALS, figures["tokens"]["generated"])
                for rule, each in found.items()
            }
    return figures


def _unjudged(judged: Sequence[JudgedProblem]) -> float:
    """The share of the candidates whose verifier gave no verdict; they count as wrong."""
    outcomes = [sample.outcome for problem in judged for sample in problem.samples]
    missing = sum(outcome is None or not outcome.is_verdict for outcome in outcomes)
    return missing / max(1, len(outcomes))


def _rescored(
    judged: Sequence[JudgedProblem], records: Mapping[str, Mapping[str, Any]], rule: Rule
) -> list[list[JudgedCandidate]]:
    """The candidates as another aggregate of the same probabilities scores them."""
    return [
        [
            each._replace(score=aggregate(found["steps"], rule))
            for each, found in zip(
                candidates_of(problem, records[problem.problem_id]),
                records[problem.problem_id]["candidates"],
                strict=True,
            )
        ]
        for problem in judged
    ]


def candidates_of(problem: JudgedProblem, record: Mapping[str, Any]) -> list[JudgedCandidate]:
    """Join a problem's verdicts with what its search says of them, in their order."""
    return [
        JudgedCandidate(
            sample.outcome == Outcome.CORRECT,
            sample.vote,
            found["score"],
            found["followed"],
            found["tokens"],
        )
        for sample, found in zip(problem.samples, record["candidates"], strict=True)
    ]


def aggregate_table(figures: Mapping[str, Any]) -> Table | None:
    """Return what each aggregate of the same scores would have chosen; None without scores."""
    if "by_aggregate" not in figures:
        return None
    table = Table(title="best (weighted) by aggregate", title_justify="left")
    table.add_column("N", justify="right")
    for rule in RULES:
        table.add_column(rule, justify="right")
    for num in figures["by_num"]:
        rows = [figures["by_aggregate"][rule][num] for rule in RULES]
        shares = [(row["best"]["value"], row["weighted"]["value"]) for row in rows]
        table.add_row(num, *(f"{100 * b:.1f} ({100 * w:.1f})" for b, w in shares))
    return table


def search_table(figures: Mapping[str, Any], title: str) -> Table:
    """Return the figures as a table for the terminal."""
    tokens = figures["tokens"]
    caption = (
        f"{figures['num_problems']} problems; tokens a problem: {tokens['generated']:,.0f} "
        f"generated, {tokens['prefilled']:,.0f} prefilled, {tokens['scored']:,.0f} scored"
    )
    if figures.get("unjudged"):
        missing = 100 * figures["unjudged"]
        caption += f"; {missing:.1f} % of the candidates have no verdict and count as wrong"
    if figures.get("ends") == "rule":
        caption += f".{RULED}"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    by_num = figures.get("by_num")
    if not by_num:
        table.add_column("rule")
        table.add_column("accuracy", justify="right")
        for name, interval in figures["rules"].items():
            table.add_row(name, format_interval(interval))
        return table
    names = list(figures["rules"])
    for head in ("N", "tokens", *names):
        table.add_column(head, justify="right")
    compared = "best_minus_majority" in next(iter(by_num.values()))
    if compared:
        table.add_column("best - majority", justify="right")
    for num, row in by_num.items():
        values = [_short(row[name]) for name in names]
        values += [_short(row["best_minus_majority"])] if compared else []
        table.add_row(num, f"{row['tokens']:,.0f}", *values)
    return table


def _short(interval: Mapping[str, float]) -> str:
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:.1f} ({low:.0f} to {high:.0f})"


def _by_num(
    candidates_P: Sequence[Sequence[JudgedCandidate]], rules: Sequence[str], tokens: float
) -> dict[str, Any]:
    """Figures of 1, 2, 4, ... samples, each over disjoint sets."""
    most = min(len(each) for each in candidates_P)
    found: dict[str, Any] = {}
    for num in (1 << power for power in range(most.bit_length()) if 1 << power <= most):
        values = {
            name: np.array([figure_of_sets(name, each, num) for each in candidates_P])
            for name in (*rules, "majority")
        }
        found[str(num)] = {
            "tokens": tokens * num / most,
            **{name: _interval(values[name]) for name in rules},
            **{f"{name}_minus_majority": _difference(values[name] - values["majority"])
               for name in rules if name in RIVALS},
        }  # fmt: skip
    return found


def _interval(share_P: Any) -> dict[str, float | None]:
    found = share_interval(share_P)
    assert found is not None, "an evaluation has problems"
    return found._asdict()


def _difference(difference_P: npt.NDArray[np.float64]) -> dict[str, float | None]:
    found = bootstrap(difference_P)
    assert found is not None, "an evaluation has problems"
    return widened_difference(found, difference_P)._asdict()
