"""The figures of a stage's evaluation: means over problems of judged responses, with intervals.

    value of a problem = mean over its samples that have the quantity
    figure             = mean over problems, percentile bootstrap over them

A quantity that no sample has is left out. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from r1.evaluate.battery_settings import HARMLESS, HELPFUL
from r1.evaluate.estimators import NO_VOTE, bootstrap_interval
from r1.evaluate.summary import FORMAT, LANGUAGE, JudgedProblem, problem_figures
from r1.reflection import self_checks
from r1.rewards import manners
from r1.types import Outcome

BatterySample = dict[str, float]
"""A response's quantities by the name of their figure; what it does not have is absent."""

PARTS = {
    "format": FORMAT,
    HELPFUL: HELPFUL,
    HARMLESS: HARMLESS,
    "rule_helpful": manners.HELPFUL,
    "rule_harmless": manners.HARMLESS,
}
"""Figure -> the part of the reward whose value it is."""
METRICS = (*PARTS, LANGUAGE, "mean_length", "self_check_share")


def sample_of(row: Mapping[str, Any]) -> BatterySample:
    """Return the values of one response from a row of `run_dir.completion_table`."""
    found = {
        metric: row[f"reward/{part}"]
        for metric, part in PARTS.items()
        if (outcome := row.get(f"outcome/{part}")) is not None and Outcome(outcome).is_verdict
    }
    if row.get(f"outcome/{LANGUAGE}") in (Outcome.CORRECT, Outcome.WRONG):
        # Thinking without a word ("x * 3") is in no language.
        found[LANGUAGE] = row[f"reward/{LANGUAGE}"]
    found["mean_length"] = float(row["num_tokens"])
    found["self_check_share"] = float(self_checks(row["text"]))
    return found


def figures(samples: Sequence[Sequence[BatterySample]], seed: int) -> dict[str, Any]:
    """Return figures of samples[p][k], each {"value", "low", "high"}; seed is the bootstrap's."""
    named = {
        metric: _interval([_mean(of_problem, metric) for of_problem in samples], seed)
        for metric in METRICS
    }
    return {metric: interval for metric, interval in named.items() if interval is not None}


def vote_figures(judged: Sequence[JudgedProblem], seed: int) -> dict[str, Any]:
    """Return pass@1, and cons@k if any answers voted."""
    by_problem = problem_figures(judged)
    named = {"pass_at_1": _interval(by_problem.pass_at_1, seed)}
    if any(sample.vote != NO_VOTE for problem in judged for sample in problem.samples):
        named["cons_at_k"] = _interval(by_problem.cons_at_k, seed)
    return {metric: interval for metric, interval in named.items() if interval is not None}


def _mean(samples: Sequence[BatterySample], metric: str) -> float:
    known = [sample[metric] for sample in samples if metric in sample]
    return float(np.mean(known)) if known else math.nan


def _interval(value_P: Any, seed: int) -> dict[str, float] | None:
    interval = bootstrap_interval(value_P, seed=seed)
    return None if math.isnan(interval.value) else interval._asdict()
